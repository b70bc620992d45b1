package main

import "slices"

// figures is everything that was measured.
type figures struct {
	Requests int         `json:"requests"`
	Rounds   int         `json:"rounds"`
	Clients  int         `json:"clients"`
	Gin      []sample    `json:"bare_gin"`
	Post     []sample    `json:"bare_post"`
	Ceiling  *ceiling    `json:"bare_sdk,omitempty"`
	Systems  []*measured `json:"systems"`
}

// measured is what was measured of one system.
type measured struct {
	system *system

	Name     string   `json:"name"`
	Submit   []sample `json:"submit"`
	Worker   []sample `json:"worker"`
	EndToEnd []sample `json:"end_to_end"`
	Apart    []sample `json:"end_to_end_api_and_worker_apart,omitempty"`
	Idle     *idle    `json:"idle,omitempty"`
	Latency  *latency `json:"latency,omitempty"`
	Waiting  *waiting `json:"waiting,omitempty"`

	// Calls are the requests to the broker for one of ours, by name.
	Calls map[string]float64 `json:"broker_requests_for_one,omitempty"`
}

// counted reports whether the requests to the broker are counted.
func (m *measured) counted() bool { return m.system != nil && m.system.counted }

type idle struct {
	ResidentMB       float64 `json:"resident_mb"`
	CPUPercent       float64 `json:"cpu_percent_of_a_core"`
	RedisCPUPercent  float64 `json:"redis_cpu_percent_of_a_core,omitempty"`
	RedisCommands    float64 `json:"redis_commands_per_second,omitempty"`
	BrokerCPUPercent float64 `json:"broker_cpu_percent_of_a_core,omitempty"`

	Requests map[string]float64 `json:"broker_requests_per_minute,omitempty"`
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
	RedisMB      float64 `json:"redis_resident_mb,omitempty"`
	Many         sample  `json:"work_off_all"`
}

// The figures of a sample that are compared.
func rate(s sample) float64      { return s.Rate }
func took(s sample) float64      { return 1 / s.Rate }
func cpu(s sample) float64       { return s.CPU }
func redisCPU(s sample) float64  { return s.Redis }
func brokerCPU(s sample) float64 { return s.Broker }
func whole(s sample) float64     { return s.CPU + s.Redis + s.Broker }

// median of one figure.
func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return middle(values)
}

// ratio is the median of what one kind of work is to others taken together, round by round: what disturbs the machine
// for longer than a round falls out.
func ratio(of func(sample) float64, samples []sample, others ...[]sample) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		var base float64
		for _, other := range others {
			base += of(other[i])
		}
		values[i] = of(s) / base
	}
	return middle(values)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
