package main

import (
	"fmt"
	"io"
)

// figures is everything that was measured.
type figures struct {
	Requests int      `json:"requests"`
	Rounds   int      `json:"rounds"`
	Clients  int      `json:"clients"`
	Gin      []sample `json:"bare_gin"`
	Submit   []sample `json:"submit"`
	Post     []sample `json:"bare_post"`
	Worker   []sample `json:"worker"`
	EndToEnd []sample `json:"end_to_end"`
	Idle     idle     `json:"idle"`
	Latency  latency  `json:"latency"`
	Waiting  *waiting `json:"waiting,omitempty"`
}

type idle struct {
	ResidentMB float64 `json:"resident_mb"`
	CPUPercent float64 `json:"cpu_percent_of_a_core"`
}

// quantiles in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

type latency struct {
	Rate    int       `json:"per_second"`
	Direct  quantiles `json:"backend_itself"`
	Through quantiles `json:"submit_to_final"`
}

type waiting struct {
	Waiting      int     `json:"waiting"`
	ReadySeconds float64 `json:"ready_seconds_after_restart"`
	ResidentMB   float64 `json:"resident_mb_after_restart"`
	Few          sample  `json:"work_off_1000"`
	Many         sample  `json:"work_off_all"`
}

// print writes the table. A figure in parentheses is what we aim at.
func (f *figures) print(w io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	gin, submit, post := median(f.Gin), median(f.Submit), median(f.Post)
	worker, all := median(f.Worker), median(f.EndToEnd)
	say("%d requests a round, %d connections, median of %d interleaved rounds", f.Requests, f.Clients, f.Rounds)
	say("")
	say("%-34s %12s %14s %s", "work", "requests/s", "CPU s/1,000", "CPU against its floor")
	line := func(name string, s sample, against string) {
		say("%-34s %12.0f %14.4f %s", name, s.Rate, s.CPU, against)
	}
	line("bare gin handler (floor)", gin, "")
	line("submit", submit, fmt.Sprintf("%.2f x the bare handler (1.6)", submit.CPU/gin.CPU))
	line("bare POST (floor)", post, "")
	line("work off", worker, fmt.Sprintf("%.2f x the bare POST", worker.CPU/post.CPU))
	line("end to end", all, fmt.Sprintf("%.2f x both floors (1.6)", all.CPU/(gin.CPU+post.CPU)))
	say("")
	l := f.Latency
	say("at %d/s: backend itself p50 %.2f ms, p99 %.2f ms; submit to final p50 %.2f ms, p99 %.2f ms", l.Rate,
		l.Direct.P50, l.Direct.P99, l.Through.P50, l.Through.P99)
	say("over the backend's own: p50 %.2f ms (2), p99 %.2f ms (6)", l.Through.P50-l.Direct.P50, l.Through.P99-l.Direct.P99)
	say("idle: %.0f MB resident (60), %.2f %% of a core (0.5)", f.Idle.ResidentMB, f.Idle.CPUPercent)
	if m := f.Waiting; m != nil {
		say("with %d waiting: ready %.2f s after a restart (2), %.0f MB resident (200)",
			m.Waiting, m.ReadySeconds, m.ResidentMB)
		say("and works off %.0f/s, with 1,000 waiting %.0f/s: %.2f x (0.8)",
			m.Many.Rate, m.Few.Rate, m.Many.Rate/m.Few.Rate)
	}
}
