// Package oracle holds what is on record against what happened. A test that has run anything gives it the folder that it ran in and the
// ledgers of the servers that were called, and gets in words whatever does not hold: of the states of the jobs, of calls and attempts,
// of answers and tokens, of the output files, of the API key. It adds up what was used and cost, from the calls and the prices on record, and
// holds that against the rows, the usage file, status and report, and so whether they say that the input is complete.
//
// It does not read Parquet, chats, pairs, and files that are packed or hold chosen rows or columns, but for the key; nor forecasts, times, and
// what is said in sentences. Of what may have been paid in vain it knows the least, and that it is told where there is any.
//
// It is for tests alone. It reads job files by statements of its own and shares no code with what writes them, so that a defect there cannot
// hide itself here.
package oracle
