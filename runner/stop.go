package runner

import "time"

// Cause says why a run ended before every job had its answer.
type Cause string

const (
	Limit          Cause = "limit"           // as many jobs as were asked for
	Interrupt      Cause = "interrupted"     // the user, or the system, asked
	KeyRefused     Cause = "key_refused"     // the API does not take this key
	QuotaSpent     Cause = "quota_spent"     // quota, tokens or funds are used up
	Refused        Cause = "forbidden"       // the API forbids what every job does
	Endpoint       Cause = "endpoint"        // no chat completions API answers there
	Certificate    Cause = "certificate"     // TLS verification failed
	ProviderDown   Cause = "provider_down"   // nothing has been answered for too long
	RateLimit      Cause = "rate_limit"      // the wait that is asked for is too long
	KeyReused      Cause = "key_reused"      // the API says that an idempotency key came with another request
	SameFailure    Cause = "same_failure"    // 20 answers in a row, all the same failure
	InvalidAnswers Cause = "invalid_answers" // 20 answers in a row that were no good
	BudgetReached  Cause = "budget"          // the next call could cost more than is left
	Simulated      Cause = "simulated"       // a made-up answer reached a real run, or a real one a simulated run
	Storage        Cause = "storage"         // the job file could not be written
	Defect         Cause = "defect"          // a worker panicked
)

// Stop is a run's early end. Nothing is failed by it: the jobs that are left are pending.
type Stop struct {
	Cause   Cause
	Status  int       // of the answer that caused it, 0 without one
	Type    string    // of that answer's error
	Code    string    //
	Message string    // the API's words, or ours
	Until   time.Time // when it may be worth going on, zero when unknown
	Stack   string    // of a Defect, for those who mend it
}
