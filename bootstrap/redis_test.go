package bootstrap

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARoleRunsWhatItsMessagesNeed(t *testing.T) {
	t.Parallel()
	const requests, results, telling = "requests of others", "results of others", "telling others"
	type flags = map[string]string
	for name, tt := range map[string]struct {
		give flags
		want []string
	}{
		"all":    {want: []string{requests}},
		"worker": {give: flags{"role": "worker"}, want: []string{requests}},
		"api":    {give: flags{"role": "api"}},
		"api for somebody else": {
			give: flags{"role": "api", "queue.results_in": "r"}, want: []string{results},
		},
		"worker that tells of results": {
			give: flags{"role": "worker", "queue.responses": "r"}, want: []string{requests, telling},
		},
		"api that tells of dead letters": {
			give: flags{"role": "api", "queue.dead_letters": "d"}, want: []string{telling},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := flags{"queue.type": "redis"}
			maps.Copy(given, tt.give)
			var got []string
			for _, l := range redisLoops(load(t, given), nil).Loops {
				got = append(got, l.name)
			}
			require.Equal(t, tt.want, got)
		})
	}
}
