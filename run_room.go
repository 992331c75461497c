package main

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// What an answer takes up at the least: its rows; each token of its text; and its part of the write-ahead log, which is folded into the job
// file when it has come to so much.
const (
	bytesPerAnswer = 1 << 10
	bytesPerToken  = 4
	bytesInLog     = 4 << 10
	mostInLog      = 16 << 20
)

// checkRoom refuses a run whose answers would not find room on the disk of the job file, as far as that can be foretold: they would be paid
// for all the same. The guess is low, so that nobody is refused in vain.
func (d *drain) checkRoom() error {
	send := d.counts.Pending
	if limit := int64(d.cfg.pool.Limit); limit > 0 {
		send = min(send, limit)
	}
	need := send*bytesPerAnswer + min(send*bytesInLog, mostInLog)
	if tokens := d.forecast(send).Total.Completion.Likely; tokens != nil {
		need += *tokens * bytesPerToken
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(d.store.Path()), &disk); err != nil || disk.Blocks == 0 || send == 0 {
		return nil // it cannot be told
	}
	if has := int64(disk.Bavail) * int64(disk.Bsize); has < need {
		return &problem{code: exitStorage, err: fmt.Errorf("the disk of %s is nearly full: the answers need about %s, it has %s; nothing was sent",
			printable(d.cfg.db), megabytes(need), megabytes(has)), hint: "make room, or send fewer with --limit"}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
