package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"batch/runner"
	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/store"
)

// The benchmarks of speed hold batch against a bare net/http loop that stores nothing: the same server in the same process, the
// same number of workers, in turn. One iteration is a round of both; compare the ratio, machines differ.
//
//	go test -run '^$' -bench 'Drain|Whole' -benchtime 5x .

const benchWorkers = 64

// benchCases: as many jobs as take a second or two.
var benchCases = []struct {
	latency time.Duration
	jobs    int
}{{0, 20_000}, {20 * time.Millisecond, 6_400}}

func benchServer(b *testing.B, latency time.Duration) *httptest.Server {
	practice, err := sim.New(sim.Options{Latency: latency})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(practice)
	b.Cleanup(func() {
		practice.Close()
		server.Close()
	})
	return server
}

func benchBody(i int) []byte {
	return fmt.Appendf(nil, `{"model":"llama-3.1-8b","messages":[{"role":"user","content":"Name river number %d and say where it ends."}],"max_tokens":20}`, i)
}

// bareLoop is what a program would do that keeps nothing.
func bareLoop(b *testing.B, url string, jobs int) time.Duration {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchWorkers, MaxIdleConns: benchWorkers}}
	defer client.CloseIdleConnections()
	begun := time.Now()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range benchWorkers {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(jobs); i = next.Add(1) {
				res, err := client.Post(url+"/v1/chat/completions", "application/json", bytes.NewReader(benchBody(int(i))))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	workers.Wait()
	return time.Since(begun)
}

// compare runs both in turn and reports their rates and the median ratio.
func compare(b *testing.B, jobs int, bare, ours func() time.Duration) {
	tuneMemory() // as main does; the bare loop has it too
	bare()       // warm up
	var bares, others, ratios []float64
	for b.Loop() {
		one, other := bare(), ours()
		bares = append(bares, float64(jobs)/one.Seconds())
		others = append(others, float64(jobs)/other.Seconds())
		ratios = append(ratios, one.Seconds()/other.Seconds())
	}
	b.ReportMetric(median(bares), "bare/s")
	b.ReportMetric(median(others), "batch/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

func BenchmarkDrain(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.latency.String(), func(b *testing.B) {
			server := benchServer(b, c.latency)
			compare(b, c.jobs, func() time.Duration { return bareLoop(b, server.URL, c.jobs) },
				func() time.Duration { return benchDrain(b, server.URL, c.jobs) })
		})
	}
}

// benchDrain times the pool alone: the jobs are in the file already.
func benchDrain(b *testing.B, url string, jobs int) time.Duration {
	ctx := context.Background()
	st, err := store.Open(ctx, filepath.Join(b.TempDir(), "x.batch.db"), true)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Import(ctx, store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("x")
		for i := range jobs {
			if err := imp.Add(store.Job{Line: i + 1, Model: "llama-3.1-8b", Body: benchBody(i), Tokens: 20}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	client, err := chat.New(chat.Options{BaseURL: url + "/v1", MaxConns: benchWorkers})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if err := st.BeginRun(ctx, store.Run{Started: time.Now()}); err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	sum, err := runner.New(st, client, runner.Options{Concurrency: benchWorkers, AllowSimulated: true}).Run(ctx)
	if err != nil || sum.Done != int64(jobs) {
		b.Fatalf("%+v %v", sum, err)
	}
	return time.Since(begun)
}

func BenchmarkWhole(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.latency.String(), func(b *testing.B) {
			server := benchServer(b, c.latency)
			input := benchInput(b, c.jobs, false)
			compare(b, c.jobs, func() time.Duration { return bareLoop(b, server.URL, c.jobs) }, func() time.Duration {
				db := filepath.Join(b.TempDir(), "x.simulated.batch.db")
				begun := time.Now()
				benchCommand(b, "run", input, "--quiet", "--db", db, "--base-url", server.URL+"/v1", "-c", strconv.Itoa(benchWorkers))
				return time.Since(begun)
			})
		})
	}
}

// BenchmarkImport is the reading, checking and storing of a first input, lines of about 200 bytes.
func BenchmarkImport(b *testing.B) {
	for _, kind := range []string{"prompt", "batch"} {
		b.Run(kind, func(b *testing.B) {
			const lines = 200_000
			input := benchInput(b, lines, kind == "batch")
			for b.Loop() {
				benchCommand(b, "run", input, "--dry-run", "--quiet", "--simulate", "--db", filepath.Join(b.TempDir(), "x.simulated.batch.db"))
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func benchInput(b *testing.B, lines int, batch bool) string {
	name := filepath.Join(b.TempDir(), "x.jsonl")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range lines {
		if batch {
			fmt.Fprintf(w, `{"custom_id":"row-%07d","method":"POST","url":"/v1/chat/completions","body":%s}`+"\n", i, benchBody(i))
		} else {
			fmt.Fprintf(w, `{"prompt":"Name river number %07d and say in a short sentence where it begins, which way it goes, and where it ends.","model":"llama-3.1-8b","max_tokens":20,"label":"rivers"}`+"\n", i)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return name
}

func benchCommand(b *testing.B, args ...string) {
	var said bytes.Buffer
	if code := run(append([]string{"batch"}, args...), nil, io.Discard, &said); code != exitOK {
		b.Fatalf("exit %d: %s", code, said.String())
	}
}
