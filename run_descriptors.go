package main

import "syscall"

// ownFiles are the descriptors that are open beside the calls: the job file and what belongs to it, the outputs, and what the system needs.
const ownFiles = 32

// fitDescriptors lowers the concurrency to what the process may have open: a call that gets no descriptor is no fault of the network, and
// must not be taken for one.
func (d *drain) fitDescriptors() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	each := uint64(1)
	if d.cfg.simulate {
		each = 2 // both ends are here
	}
	most := max(int((min(limit.Cur, 1<<20)-min(limit.Cur, ownFiles))/each), 1)
	if asked := d.cfg.pool.Concurrency; asked > most {
		d.cfg.pool.Concurrency = most
		d.term.warn("concurrency", event{"asked": asked, "concurrency": most},
			"%s at a time instead of %s: this process may not have more files open (ulimit -n)", plural(int64(most), "call"), count(int64(asked)))
	}
}
