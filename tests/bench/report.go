package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// report writes lines.
type report struct{ io.Writer }

func (r report) sayf(format string, args ...any) { _, _ = fmt.Fprintf(r, format+"\n", args...) }

// print writes the table. A figure in parentheses is what we aim at.
func (f *figures) print(w io.Writer) {
	r := report{w}
	r.sayf("%d requests a round, %d connections, median of %d interleaved rounds; "+
		"CPU s/1,000 of the program, of Redis and of the broker",
		f.Requests, f.Clients, f.Rounds)
	r.sayf("")
	r.sayf("%-26s %11s %9s %9s %9s  %s", "work", "requests/s", "program", "Redis", "broker", "against")
	r.line("bare gin handler (floor)", f.Gin)
	r.line("bare POST (floor)", f.Post)
	if f.Ceiling != nil {
		r.line("bare SDK: send", f.Ceiling.Send)
		r.line("bare SDK: receive, delete", f.Ceiling.Take)
		r.line("bare SDK: all (ceiling)", f.Ceiling.Both)
	}
	for _, m := range f.Systems {
		r.sayf("")
		r.line(m.Name+" submit", m.Submit, f.submit(m))
		r.line(m.Name+" work off", m.Worker, f.worker(m), f.against(m, onRedis, onAsynq, workerAgainst))
		r.line(m.Name+" end to end", m.EndToEnd, f.endToEnd(m), f.against(m, onRedis, onAsynq, endToEndAgainst),
			f.againstRedis(m), f.againstSDK(m))
		if m.Apart != nil {
			r.line("  api and worker apart", m.Apart)
		}
	}
	for _, m := range f.Systems {
		r.once(m)
	}
}

// line writes the medians of some rounds, and the remarks that are not empty.
func (r report) line(name string, samples []sample, remarks ...string) {
	var some []string
	for _, remark := range remarks {
		if remark != "" {
			some = append(some, remark)
		}
	}
	r.sayf("%-26s %11.0f %9.4f %9s %9s  %s", name, median(samples, rate), median(samples, cpu),
		optional(median(samples, redisCPU)), optional(median(samples, brokerCPU)), strings.Join(some, "; "))
}

// optional writes nothing for what was not there.
func optional(cpu float64) string {
	if cpu == 0 {
		return ""
	}
	return fmt.Sprintf("%.4f", cpu)
}

// aim is what we want a queue's figures not to exceed, as it stands behind them; empty: nothing is wanted.
type aim struct {
	submit, worker, endToEnd string // times the floors
	p50, p99                 string // submit to final
	overP50, overP99         string // the same over the backend's own
	rate                     string // not less than so much of redis's
}

var aims = map[string]aim{
	embedded: {submit: " (1.6)", endToEnd: " (1.6)", overP50: " (2)", overP99: " (6)"},
	onRedis:  {submit: " (1.5)", worker: " (1.7)", p50: " (2)", p99: " (5)"},
	"kafka":  {submit: " (1.9)", p50: " (15)", rate: " (0.6)"},
}

func (f *figures) submit(m *measured) string {
	return fmt.Sprintf("%.2f x the bare handler%s", ratio(cpu, m.Submit, f.Gin), aims[m.Name].submit)
}

func (f *figures) worker(m *measured) string {
	return fmt.Sprintf("%.2f x the bare POST%s", ratio(cpu, m.Worker, f.Post), aims[m.Name].worker)
}

func (f *figures) endToEnd(m *measured) string {
	return fmt.Sprintf("%.2f x both floors%s", ratio(cpu, m.EndToEnd, f.Gin, f.Post), aims[m.Name].endToEnd)
}

// against compares a system with another one of the same run, if those are they.
func (f *figures) against(m *measured, one, other string, compare func(m, other *measured) string) string {
	i := slices.IndexFunc(f.Systems, func(m *measured) bool { return m.Name == other })
	if i < 0 || m.Name != one {
		return ""
	}
	return compare(m, f.Systems[i])
}

// againstSDK compares a broker that is billed by the request with what the bare SDK can do. Where all share a few cores
// it has to be shared with what keeps the records, so that is counted apart: what takes the time of both one after the
// other has 1.
func (f *figures) againstSDK(m *measured) string {
	if f.Ceiling == nil || !m.counted() {
		return ""
	}
	text := fmt.Sprintf("%.2f x the bare SDK's rate (0.8)", ratio(rate, m.EndToEnd, f.Ceiling.Both))
	return text + f.against(m, m.Name, onRedis, func(m, redis *measured) string {
		return fmt.Sprintf(", %.2f x the time of both that and redis (1.25)",
			ratio(took, m.EndToEnd, f.Ceiling.Both, redis.EndToEnd))
	})
}

// againstRedis compares a carrier with the queue that needs no broker beside Redis.
func (f *figures) againstRedis(m *measured) string {
	if m.system == nil || m.system.carrier == nil {
		return ""
	}
	return f.against(m, m.Name, onRedis, func(m, redis *measured) string {
		return fmt.Sprintf("%.2f x redis's rate%s", ratio(rate, m.EndToEnd, redis.EndToEnd), aims[m.Name].rate)
	})
}

func workerAgainst(m, asynq *measured) string {
	return fmt.Sprintf("%.2f x asynq's (0.33)", ratio(cpu, m.Worker, asynq.Worker))
}

func endToEndAgainst(m, asynq *measured) string {
	return fmt.Sprintf("%.2f x asynq's rate (2.5) at %.2f x its CPU, Redis included (0.45)",
		ratio(rate, m.EndToEnd, asynq.EndToEnd), ratio(whole, m.EndToEnd, asynq.EndToEnd))
}

// once writes what was measured once, if it was.
func (r report) once(m *measured) {
	if m.Idle == nil {
		return
	}
	r.sayf("")
	r.sayf("%s", m.Name)
	l, a := m.Latency, aims[m.Name]
	r.sayf("  at %d/s: backend itself p50 %.2f ms, p99 %.2f ms; submit to final p50 %.2f ms%s, p99 %.2f ms%s", l.Rate,
		l.Direct.P50, l.Direct.P99, l.Through.P50, a.p50, l.Through.P99, a.p99)
	r.sayf("  over the backend's own: p50 %.2f ms%s, p99 %.2f ms%s",
		l.Through.P50-l.Direct.P50, a.overP50, l.Through.P99-l.Direct.P99, a.overP99)
	r.sayf("  idle: %.0f MB resident (60), %.2f %% of a core (0.5)", m.Idle.ResidentMB, m.Idle.CPUPercent)
	if m.system.redis {
		r.sayf("  and Redis meanwhile: %.1f commands a second, %.2f %% of a core",
			m.Idle.RedisCommands, m.Idle.RedisCPUPercent)
	}
	if m.system.carrier != nil {
		r.sayf("  and %s meanwhile: %.2f %% of a core", m.system.carrier.Program, m.Idle.BrokerCPUPercent)
	}
	if m.Calls != nil {
		r.calls(m)
	}
	if m.Waiting != nil {
		r.waiting(m)
	}
}

// calls writes what the broker is asked for.
func (r report) calls(m *measured) {
	r.sayf("  under load the broker is asked %.2f times for a request (0.45): %s", total(m.Calls), list(m.Calls))
	r.sayf("  idle it is asked %.0f times a minute: %s", total(m.Idle.Requests), list(m.Idle.Requests))
}

func total(calls map[string]float64) (sum float64) {
	for _, n := range calls {
		sum += n
	}
	return sum
}

func list(calls map[string]float64) string {
	all := make([]string, 0, len(calls))
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		all = append(all, fmt.Sprintf("%s %.2f", name, calls[name]))
	}
	return strings.Join(all, ", ")
}

func (r report) waiting(m *measured) {
	w, few := m.Waiting, median(m.Worker, rate)
	redis := ""
	if w.RedisMB > 0 {
		redis = fmt.Sprintf(", Redis %.0f MB", w.RedisMB)
	}
	r.sayf("  with %d waiting: ready %.2f s after a restart (2), %.0f MB resident (200)%s",
		w.Waiting, w.ReadySeconds, w.ResidentMB, redis)
	r.sayf("  and works off %.0f/s, with a round's requests waiting %.0f/s: %.2f x (0.8)",
		w.Many.Rate, few, w.Many.Rate/few)
}
