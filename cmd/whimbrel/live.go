package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/whimbrel-db/whimbrel"
)

// screen shows a presenter's lines, and, where a person is looking, keeps a
// live line below them.
type screen struct {
	mutex     sync.Mutex
	presenter *presenter
	out       io.Writer
	width     int
	shown     bool // whether a live line is on the screen
	frame     int

	stop chan struct{}
	wait sync.WaitGroup
}

// tick is how often the live line is drawn.
const tick = 100 * time.Millisecond

var frames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// newScreen starts drawing when live is set. The caller must close it.
func newScreen(p *presenter, out io.Writer, live bool, width int) *screen {
	s := &screen{presenter: p, out: out, width: width, stop: make(chan struct{})}
	if live {
		s.wait.Go(s.draw)
	}
	return s
}

// hear is the whimbrel.Listener.
func (s *screen) hear(record whimbrel.Record) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if lines := s.presenter.hear(record); len(lines) > 0 {
		_, _ = io.WriteString(s.out, s.erase()+strings.Join(lines, "\n")+"\n")
	}
}

// close removes the live line and waits until nothing more is drawn.
func (s *screen) close() {
	close(s.stop)
	s.wait.Wait()
	_, _ = io.WriteString(s.out, s.erase())
}

func (s *screen) draw() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.redraw(now)
		}
	}
}

func (s *screen) redraw(now time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	line := s.presenter.live(now)
	text := s.erase()
	if line != "" {
		s.frame++
		if s.width > 0 {
			line = ansi.Truncate(line, s.width-3, "…")
		}
		text += fmt.Sprintf("%s %s", frames[s.frame%len(frames)], line)
		s.shown = true
	}
	if text != "" {
		_, _ = io.WriteString(s.out, text)
	}
}

// erase gives what removes the live line, if there is one.
func (s *screen) erase() string {
	if !s.shown {
		return ""
	}
	s.shown = false
	return "\r" + ansi.EraseEntireLine
}
