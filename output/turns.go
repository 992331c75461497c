package output

import (
	"errors"
	"slices"
)

// turnMembers are the members of the messages in a column of conversations, role and content first.
type turnMembers struct {
	names  []string
	picker *picker
}

const maxTurnMembers = 100

// add takes note of the members of an array of messages.
func (m *turnMembers) add(messages []byte) error {
	return m.walk(messages, func(_ int, name, _ []byte) error {
		if name == nil || slices.Contains(m.names, string(name)) {
			return nil
		}
		if len(m.names) == maxTurnMembers || len(name) > maxNameBytes {
			return errors.New("the messages have too many members, or too long ones, for a table; use --format jsonl")
		}
		m.names = append(m.names, string(name))
		return nil
	})
}

// walk gives the members of each message with its number, and before them once no name for the message itself.
func (m *turnMembers) walk(messages []byte, do func(turn int, name, value []byte) error) error {
	if m.picker == nil {
		m.picker = newPicker()
	}
	p := m.picker
	p.reset(messages)
	_, _, err := p.array(func(i int) error {
		if err := do(i, nil, nil); err != nil {
			return err
		}
		_, err := p.object(func(name []byte) error {
			value, err := p.value()
			if err != nil {
				return err
			}
			return do(i, name, value)
		})
		return err
	})
	return err
}
