package bootstrap

import (
	"crypto/sha256"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/httpapi"
	"github.com/openhqm/openhqm/configs"
	"github.com/openhqm/openhqm/ports"
)

func TestAPIKeysKeepTheirPermissions(t *testing.T) {
	t.Parallel()
	foo := sha256.Sum256([]byte("foo"))
	got := apiKeys([]configs.APIKey{{
		Name: "shop", SHA256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
		Endpoints: []string{"orders"}, Admin: true,
	}})
	require.Equal(t, []httpapi.Key{{
		SHA256: foo, Caller: ports.Caller{Name: "shop", Endpoints: []string{"orders"}, Admin: true},
	}}, got)
}

// bound are the addresses of a server.
type bound struct{ main, admin string }

func (b bound) Addr() net.Addr { return b.address(b.main) }

func (b bound) AdminAddr() net.Addr {
	if b.admin == "" {
		return nil
	}
	return b.address(b.admin)
}

func (bound) TransparentAddr() net.Addr { return nil }

func (bound) address(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8000} }

func TestThereIsAWarningForKeysInTheClear(t *testing.T) {
	t.Parallel()
	keys := []configs.APIKey{{Name: "shop"}}
	secure := configs.ServerTLS{CertFile: "a", KeyFile: "b"}
	for name, tt := range map[string]struct {
		give   string
		server configs.Server
		want   int
	}{
		"clear":              {"0.0.0.0", configs.Server{APIKeys: keys}, 1},
		"loopback":           {"127.0.0.1", configs.Server{APIKeys: keys}, 0},
		"encrypted":          {"0.0.0.0", configs.Server{APIKeys: keys, TLS: secure}, 0},
		"behind a proxy":     {"0.0.0.0", configs.Server{APIKeys: keys, PublicURL: "https://hqm.example.com"}, 0},
		"behind a clear one": {"0.0.0.0", configs.Server{APIKeys: keys, PublicURL: "http://hqm.example.com"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := clearKeys(bound{main: tt.give}, configs.Config{Server: tt.server})
			require.Len(t, got, tt.want)
			for _, text := range got {
				require.Contains(t, text, "server.tls")
			}
		})
	}
}

func TestThereIsAWarningForWhatOtherMachinesCanUse(t *testing.T) {
	t.Parallel()
	keys := []configs.APIKey{{Name: "shop"}}
	const everything, administration = "server.api_keys is empty", "server.admin_listen asks for no key"
	for name, tt := range map[string]struct {
		give bound
		keys []configs.APIKey
		role string
		want []string
	}{
		"a worker, which serves neither": {give: bound{"0.0.0.0", "0.0.0.0"}, role: configs.RoleWorker},

		"loopback":                      {give: bound{main: "127.0.0.1"}},
		"IPv6 loopback":                 {give: bound{main: "::1", admin: "127.0.0.2"}},
		"all addresses":                 {give: bound{main: "0.0.0.0"}, want: []string{everything}},
		"all addresses, IPv6":           {give: bound{main: "::"}, want: []string{everything}},
		"one of the network":            {give: bound{main: "192.0.2.1"}, want: []string{everything}},
		"with keys":                     {give: bound{main: "127.0.0.1"}, keys: keys},
		"administration":                {give: bound{main: "127.0.0.1", admin: "::"}, want: []string{administration}},
		"administration, despite keys":  {give: bound{"127.0.0.1", "0.0.0.0"}, keys: keys, want: []string{administration}},
		"administration and everything": {give: bound{"::", "10.0.0.1"}, want: []string{everything, administration}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := exposures(tt.give, configs.Config{Role: tt.role, Server: configs.Server{APIKeys: tt.keys}})
			require.Len(t, got, len(tt.want))
			for i, text := range tt.want {
				require.Contains(t, got[i], text)
			}
		})
	}
}
