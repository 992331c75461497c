// Package output writes what a job file knows as files that people and programs read: results, errors and usage totals,
// as JSONL, CSV or Parquet. Package main calls it after a run and for an export. It only reads jobs, never changes one, and
// never talks to the network or to a terminal.
//
// # Files
//
// The results file has a row for every answered prompt, the errors file one for every failed job and every skipped
// line, both in input order; a prompt that waits is in neither. An answer that can no longer be read is a row of errors
// with the type batch_error and the code damaged_answer; usage counts it as done, as the job file does. The usage file
// has a row for every endpoint and requested model, then one with total true. Each file is written beside its target
// and renamed over it when it is whole, so a reader never meets half a file. A target is replaced only when its
// recorded identity says that it was written from this job file, or with Options.Force.
//
// Options.Extract takes fields out of answers that are JSON, with or without a fence around it, into columns of the flat shape that stand
// behind created: null where there is no such field, the value as it was spelled where there is. Options.Fields and Options.Where know
// these columns, too. A key of the author's that bears the name of one is refused; where it comes later, it is renamed.
//
// Options.Fields chooses, orders and renames columns of the results, Options.Where says which answers are in them (its language
// is that of package where, its names are the flat columns, the author's keys and state; a key that bears the name of any column of results
// or errors, or is called state or class, is input_<name> in it), and Options.Split divides them among
// files that are named after the results file. What is left out of the results is in the sums all the same, and in the
// errors file nothing is ever left out. Options.Compression packs all files alike. The same rows give the same bytes.
//
// # Values
//
// JSONL has one row a line, and every column on every row except file (several inputs only), simulated (made-up answers
// only), sample, trimmed_turns, choices and message. What is not known is null, never 0 or "". Text from a prompt or an answer stands as it
// was spelled there: escapes are kept, numbers keep their digits, nothing is escaped for HTML. Only two things change:
// bytes that are not UTF-8 become U+FFFD, and a value that was spread over several lines loses its white space outside
// strings. Where a name occurs twice in an object, its last value counts.
//
// prompt is the text of the last user message, content that of the first choice (the one with index 0; without indexes
// the first); the text parts of an array are joined by a line break, and an array without any gives null. choices is
// added where there are several or where the first bears logprobs; message where the first choice's message has more
// than role and a text as content. Members that are null, "", [] or {} are nothing more. usage_source says whether the
// three token columns are reported by the API, estimated here, those of an answer that another job file (reused) or an
// equal line (shared) was charged for, or unknown and null. trimmed_turns stands on the rows whose conversation was
// sent without its oldest turns, and says how many those were.
//
// The author's own keys follow the columns as they were. One that bears the name of a column of its file becomes
// input_<name>, with one more input_ for as long as the author has a key of that name too.
//
// # Shapes
//
// Shape flat is the above. Shape openai writes OpenAI Batch lines, with exactly their four members (the author's keys
// are left out; made-up answers add simulated). A line without custom_id gets line-<n>, or <file>:<n> with several
// inputs; an author whose own custom_id is such a name, on another line, finds it twice. An answer of the API that is
// an error stands in response with its status (a body that is no JSON object is replaced by one in the API's form); a
// job that never got one, a 2xx that is no completion, an answer that was no good, a damaged answer and a skipped line (code invalid_line) have
// response null and their reason in error. Shape chat writes the conversation with its answer as messages, and tools,
// functions and parallel_tool_calls where the request has them; shape pairs writes the texts prompt and completion, and
// nothing else. Of several choices each has a row. The errors of both are flat. A choice that says nothing (chat) or is no text,
// or whose prompt is none (pairs), is not in the results; Report.Unfit counts the answers of which no choice is.
//
// # CSV
//
// CSV has the flat columns in UTF-8 without a byte order mark, one column for each of the author's keys (after 200 of
// them the rest share the column carried), and records that end in CRLF, as RFC 4180 says; line breaks inside a cell
// stay as they were. Strings are decoded, null is an empty cell, other values are JSON. Unless Options.CSVRaw is set, a
// cell that a spreadsheet could take for a formula gets a leading apostrophe and NUL becomes U+FFFD.
//
// # Parquet
//
// Parquet has the columns of CSV, with types: integers of 64 bits, doubles for money (rounded to 12 digits they are exact
// up to 9,000 dollars), booleans, and texts; created is in seconds as everywhere. Columns that every row has are required,
// all others are null where there is nothing. A column of the author's has the type of its values when all are of one
// (integers, numbers, booleans or strings) and no number would lose a digit; else it is a text that holds their JSON, as
// choices, message and tools are. Strings are decoded; a lone surrogate becomes U+FFFD. Conversations are a list of
// structs with role, content and whatever members their messages have; a member that is no string is the text of its
// JSON. The file is compressed inside, by zstd.
package output
