package bootstrap

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/configs"
)

func TestAllProcessesOfAnInstallationHaveOneName(t *testing.T) {
	t.Parallel()
	name := func(changes ...string) string {
		flags := map[string]string{
			"queue.type": "redis", "role": "api", "redis.url": "rediss://u:s3cret@a:1/2?addr=b:1",
		}
		for _, change := range changes {
			key, value, _ := strings.Cut(change, "=")
			flags[key] = value
		}
		got, err := newPseudonym(load(t, flags))
		require.NoError(t, err)
		require.Regexp(t, "^openhqm-[0-9a-f]{12}$", string(got))
		return string(got)
	}
	one := name()
	require.Equal(t, one, name("role=worker", "redis.url=rediss://v:other@b:1/2?addr=a:1&pool_size=9"))
	different := []string{
		name("queue.requests=b"), name("redis.url=redis://a:1/3?addr=b:1"), name("redis.url=redis://c"),
	}
	for _, queue := range configs.QueueTypes() {
		if queue != configs.QueueEmbedded {
			different = append(different, name("queue.type="+queue))
		}
	}
	seen := map[string]bool{}
	for _, n := range different {
		require.False(t, seen[n])
		seen[n] = true
	}
}

func TestAnEmbeddedQueueHasANameOfItsOwnAndTheConfigurationMayChooseIt(t *testing.T) {
	t.Parallel()
	one, err := newPseudonym(load(t, nil))
	require.NoError(t, err)
	two, err := newPseudonym(load(t, nil))
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	chosen, err := newPseudonym(load(t, map[string]string{"proxy.via": "shop"}))
	require.NoError(t, err)
	require.Equal(t, pseudonym("shop"), chosen)
}

func TestThereIsAWarningForAnEndpointThatIsTheGatewayItself(t *testing.T) {
	t.Parallel()
	own := ""
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
			own = network.IP.String()
		}
	}
	for name, tt := range map[string]struct {
		bound, url, public, role string
		secure, want             bool
	}{
		"the same address":                 {bound: "127.0.0.1", url: "http://127.0.0.1:8000/proxy/b", want: true},
		"localhost":                        {bound: "127.0.0.1", url: "http://LOCALHOST:8000", want: true},
		"localhost, on all addresses":      {bound: "::", url: "http://localhost:8000", want: true},
		"loopback, on all addresses":       {bound: "0.0.0.0", url: "http://127.0.0.2:8000", want: true},
		"an own address, on all addresses": {bound: "0.0.0.0", url: "http://" + own + ":8000", want: true},
		"the public URL": {
			bound: "127.0.0.1", url: "https://hqm.test/proxy/b", public: "https://HQM.test:443", want: true,
		},
		"another port":                   {bound: "127.0.0.1", url: "http://127.0.0.1:8001"},
		"another address":                {bound: "127.0.0.1", url: "http://192.0.2.1:8000"},
		"another address, on all of us":  {bound: "0.0.0.0", url: "http://192.0.2.1:8000"},
		"our TLS":                        {bound: "127.0.0.1", url: "https://127.0.0.1:8000", secure: true, want: true},
		"clear, where we have TLS":       {bound: "127.0.0.1", url: "http://127.0.0.1:8000", secure: true},
		"a TLS server in front":          {bound: "127.0.0.1", url: "https://127.0.0.1:8000"},
		"another scheme than the public": {bound: "127.0.0.1", url: "http://hqm.test", public: "https://hqm.test"},
		"a worker, which accepts nothing": {
			bound: "127.0.0.1", url: "http://127.0.0.1:8000", role: configs.RoleWorker,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := configs.Config{Role: tt.role, Server: configs.Server{PublicURL: tt.public}}
			if tt.secure {
				config.Server.TLS = configs.ServerTLS{CertFile: "a", KeyFile: "b"}
			}
			config.Proxy.Endpoints = map[string]configs.Endpoint{"a": {URL: tt.url}}

			got := selfCalls(bound{main: tt.bound}, config)

			if !tt.want {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], `endpoint "a"`)
		})
	}
}
