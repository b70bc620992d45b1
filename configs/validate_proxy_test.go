package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTransparentListenerAndWhatItForwards(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		give string
		want []string
	}{
		{give: "proxy: {forwarded: off}"},
		{give: "proxy: {forwarded: x-forwarded}"},
		{give: "proxy: {forwarded: forwarded}", want: []string{
			`f.yaml:1: proxy.forwarded: "forwarded": must be one of off, x-forwarded, rfc7239`,
		}},
		{give: "proxy: {transparent: {listen: '127.0.0.1:8080', endpoint: echo}}"},
		{give: "{server: {port: 0}, proxy: {transparent: {listen: ':0', endpoint: echo}}}"},
		{give: "{server: {admin_listen: ':0'}, proxy: {transparent: {listen: ':0', endpoint: echo}}}"},
		{give: "proxy: {transparent: {listen: ''}}"},
		{give: "proxy: {transparent: {listen: '8080', endpoint: echo}}", want: []string{
			`f.yaml:1: proxy.transparent.listen: "8080": must be empty or host:port, for instance 127.0.0.1:8080`,
		}},
		{give: "proxy: {transparent: {listen: '127.0.0.1:8080'}}", want: []string{
			`default: proxy.transparent.endpoint: "": must be one of the endpoints: echo`,
		}},
		{give: "proxy: {transparent: {listen: ':8080', endpoint: b}, endpoints: {a: {url: http://a}}}", want: []string{
			`f.yaml:1: proxy.transparent.endpoint: "b": must be one of the endpoints: a`,
		}},
		{give: "proxy: {transparent: {endpoint: echo}}", want: []string{
			`default: proxy.transparent.listen: "": is required with proxy.transparent.endpoint: host:port, ` +
				"for instance 127.0.0.1:8080",
		}},
		{give: "proxy: {transparent: {listen: '127.0.0.1:8000', endpoint: echo}}", want: []string{
			`f.yaml:1: proxy.transparent.listen: "127.0.0.1:8000": must have another port than server.port`,
		}},
		{give: "{server: {admin_listen: '[::1]:81'}, proxy: {transparent: {listen: ':081', endpoint: echo}}}", want: []string{
			`f.yaml:1: proxy.transparent.listen: ":081": must have another port than server.admin_listen`,
		}},
		{give: "{role: worker, proxy: {transparent: {listen: ':1', endpoint: echo}}}", want: []string{
			`f.yaml:1: role: "worker": must be "all": the embedded queue and store belong to one process`,
			`f.yaml:1: proxy.transparent.listen: ":1": has no effect with role worker, which accepts no requests`,
		}},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			if test.want == nil {
				loadYAML(t, test.give)
				return
			}
			require.Equal(t, test.want, faultsOf(t, Sources{File: write(t, "f.yaml", test.give)}))
		})
	}
}
