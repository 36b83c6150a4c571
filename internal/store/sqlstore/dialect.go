package sqlstore

import (
	"github.com/pressly/goose/v3"
)

// dialect is all that differs between the databases. The statements themselves are written so that both take them:
// parameters are $1, $2 ..., the columns of VALUES are column1, column2 ....
type dialect struct {
	name  string // the folder of its migrations, and the word in events
	goose goose.Dialect

	// lock ends a SELECT whose rows stay locked until the end of the transaction. It is empty where a transaction that
	// writes has the database for itself.
	lock string

	// unnumbered is for statements over many rows: their parameters are question marks. SQLite looks each numbered one up in a
	// list of all.
	unnumbered bool

	// clocked says that the tables of calls have the database's own type of times; else they are milliseconds.
	clocked bool

	fault   func(error) fault // what kind of error it is; never called with nil
	explain func(error) error // the error with what an admin can do, where that is known
}

// fault is a kind of error.
type fault int

const (
	faultAway  fault = iota // the database does not answer, or cannot write now
	faultAgain              // lost against another transaction, which changed nothing: try again
	faultData               // the database refuses what it was given, and will do so again
)
