// Package oracle holds what is on record against what happened. A test that has run anything gives it the folder that it ran in and the
// ledgers of the servers that were called, and gets in words whatever does not hold: of the states of the jobs, of calls and attempts,
// of answers and tokens, of the output files, of the API key.
//
// It is for tests alone. It reads job files by statements of its own and shares no code with what writes them, so that a defect there cannot
// hide itself here.
package oracle
