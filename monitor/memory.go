package monitor

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// Memory is what the process uses, in bytes.
type Memory struct {
	// Resident is what the process holds of the machine's memory. Where the
	// system does not say (anything but Linux), it is what Go's runtime holds.
	Resident uint64 `json:"resident_bytes"`
	// Heap is what the program's values take.
	Heap uint64 `json:"heap_bytes"`
}

// meter reads the process's memory. It is made for one goroutine.
type meter struct {
	statm   *os.File // nil where there is none; closed with the meter by the collector
	text    [128]byte
	samples []metrics.Sample
}

func newMeter() *meter {
	m := &meter{samples: []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}}
	var err error
	if m.statm, err = os.Open("/proc/self/statm"); err != nil {
		m.samples = append(m.samples, metrics.Sample{Name: "/memory/classes/total:bytes"},
			metrics.Sample{Name: "/memory/classes/heap/released:bytes"})
	}
	return m
}

func (m *meter) read() Memory {
	metrics.Read(m.samples)
	memory := Memory{Heap: m.samples[0].Value.Uint64()}
	if m.statm == nil {
		memory.Resident = m.samples[1].Value.Uint64() - m.samples[2].Value.Uint64()
		return memory
	}
	n, _ := m.statm.ReadAt(m.text[:], 0)
	if resident, ok := residentPages(m.text[:n]); ok {
		memory.Resident = resident * uint64(os.Getpagesize())
	}
	return memory
}

// residentPages reads the second number of /proc/self/statm; see proc(5).
func residentPages(statm []byte) (uint64, bool) {
	_, rest, found := bytes.Cut(statm, []byte(" "))
	if !found {
		return 0, false
	}
	number, _, _ := bytes.Cut(rest, []byte(" "))
	pages, err := strconv.ParseUint(string(number), 10, 64)
	return pages, err == nil
}
