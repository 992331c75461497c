package input

// Prompt is one good line of a prompt file, made ready to be sent.
type Prompt struct {
	File string // as the user named it; "-" is standard input
	Line int    // counted from 1, blank lines included

	CustomID    string // "" with HasCustomID false when the line has none
	HasCustomID bool
	Batch       bool // the line is of the custom_id + body form

	Model   string   // requested model, "" when neither the line nor a fill-in names one
	Body    []byte   // the request as it goes on the wire
	Key     [32]byte // chat.Key of Body
	Carried []byte   // the author's own keys as one JSON object in the line's order, values as written; nil without any
	Tokens  int64    // estimated prompt tokens (tokens.Estimate)
}

// LineError is a bad line: where it stands, what is wrong and what to do about it. It never holds prompt text.
type LineError struct {
	File     string
	Line     int
	CustomID string // of the line, where it could still be read
	Field    string // as in messages[0].role; "" when the line as a whole is meant
	Problem  string // as in: "bot" is not one of system, user, assistant
	Hint     string // as in: did you mean temperature?; may be empty
}
