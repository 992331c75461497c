package output

import (
	"context"
	"errors"
	"slices"

	"batch/output/where"
	"batch/store"
)

// whyNames are what an Asker tells of first: where a job stands, and why it failed.
var whyNames = []string{"state", "class", "type", "code", "status", "message", "possibly_paid"}

// Asker asks a question about prompts in any state, by the names of the columns of results and errors. What a row does not have is null:
// content of a failed prompt, code of an answered one. A key of the author's that bears such a name is input_<name> on every row.
type Asker struct {
	expr *where.Expr
	flat flat
	rec  record
	name []byte
}

// NewAsker makes an Asker for the rows of src. A name that none of them has is a *RefusedError.
func NewAsker(ctx context.Context, src Source, expr *where.Expr) (*Asker, error) {
	if err := checkNames(ctx, src, Options{Where: expr}, questionNames, slices.Concat(whyNames, resultColumns)); err != nil {
		return nil, err
	}
	prices, err := src.Prices(ctx)
	if err != nil {
		return nil, err
	}
	return &Asker{expr: expr, flat: flat{picker: newPicker(), opt: Options{ShowFile: true}, prices: NewPrices(prices), asked: true}}, nil
}

// Holds answers the question for a prompt.
func (a *Asker) Holds(row *store.Row) (bool, error) {
	a.rec.reset()
	state := row.State
	err := error(nil)
	if state == store.Done {
		err = a.flat.answer(&a.rec, row)
		if errors.As(err, new(damagedAnswerError)) { // it stands among the errors
			a.rec.reset()
			damaged := *row
			damaged.Type, damaged.Code, damaged.Message = ownError, damagedCode, damagedMessage
			row, state = &damaged, store.Failed
			err = nil
		}
	}
	if state != store.Done && err == nil {
		err = a.flat.failure(&a.rec, row)
		a.rec.text("requested_model", row.Model)
	}
	if err != nil {
		return false, err
	}
	if state == store.Done {
		a.rec.bool("possibly_paid", row.PossiblyPaid)
	}
	a.rec.text("state", string(row.State))
	a.rec.text("class", row.Class)
	return a.expr.Holds(func(name string) []byte {
		if value := a.rec.lookup(name, &a.name); value != nil || name != "model" {
			return value
		}
		return a.rec.lookup("requested_model", &a.name) // nothing else is known before an answer
	}), nil
}
