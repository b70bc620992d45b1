package configs

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadDoesNotNeedTheSecretsAndResolveSecretsNamesAllThatAreMissing(t *testing.T) {
	t.Parallel()
	file := write(t, "f.yaml", `
proxy:
  endpoints:
    a:
      url: https://a
      headers:
        X-A: ${MISSING_A}
        X-B: ${WITH_NEWLINE}
        X-C: ${EMPTY}
      auth: {type: bearer, token: "${EMPTY}"}
      tls:
        ca_file: /none/ca.pem
        cert_file: /
        key_file: /none/key.pem
    b:
      url: http://b
      auth:
        type: basic
        username: u
        password: file:/none/password
    c:
      url: http://c
      auth: {type: bearer, token: "${GOOD}"}
`)
	config, _, err := Load(Sources{File: file, Environ: []string{"WITH_NEWLINE=s3\ncret", "GOOD=s3cret", "EMPTY="}})
	require.NoError(t, err)

	err = config.ResolveSecrets()
	var report *Error
	require.ErrorAs(t, err, &report)
	at := func(line, key, reason string) string {
		return file + ":" + line + ": proxy.endpoints." + key + ": " + reason
	}
	want := []string{
		at("7", "a.headers.X-A", "needs variables that are not set: MISSING_A"),
		at("8", "a.headers.X-B", "resolves to a value with control characters, which no header may hold"),
		at("10", "a.auth.token", "resolves to an empty value"),
		at("12", "a.tls.ca_file", "stat /none/ca.pem: no such file or directory"),
		at("13", "a.tls.cert_file", "open /: not a regular file"),
		at("14", "a.tls.key_file", "stat /none/key.pem: no such file or directory"),
		at("20", "b.auth.password", "stat /none/password: no such file or directory"),
	}
	got := make([]string, 0, len(want))
	for _, fault := range report.Faults {
		got = append(got, fault.String())
	}
	require.Equal(t, want, got)
}

func TestSecretsThatResolve(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	config := loadYAML(t, `
proxy:
  endpoints:
    a:
      url: https://a
      headers: {X-A: "", X-B: "${EMPTY}", X-C: literal}
      auth: {type: basic, username: u, password: "${EMPTY}"}
      tls: {ca_file: "`+certificate+`", cert_file: "`+certificate+`", key_file: "`+key+`"}
`, "EMPTY=")
	require.NoError(t, config.ResolveSecrets())
}

func TestResolveRedis(t *testing.T) {
	t.Parallel()
	const escaped = "redis.url: has an @ or # after the host: in a password @ is written %40, # %23, / %2F, ? %3F " +
		"and % %25"
	const parameters = "addr, client_name, dial_timeout, master_name, password, pool_size, read_timeout, skip_verify, " +
		"username, write_timeout"
	const scheme = "redis.url: must be a URL that begins with redis:// or rediss:// and names a host"
	for name, test := range map[string]struct {
		give string // the section
		want string // the URL
		err  string
	}{
		"the default": {give: "url: redis://localhost:6379", want: "redis://localhost:6379"},
		"a variable":  {give: "url: rediss://u:${PASSWORD}@a?addr=b:1", want: "rediss://u:s3cret@a?addr=b:1"},
		"Sentinels": {
			give: "url: redis://:a@s1:26379/1?master_name=main&addr=s2:26379&username=u&password=b&read_timeout=2",
			want: "redis://:a@s1:26379/1?master_name=main&addr=s2:26379&username=u&password=b&read_timeout=2",
		},
		"a password with a slash":    {give: "url: redis://u:12/s3cret@a", err: escaped},
		"a password with a question": {give: "url: redis://u:12?s3cret@a", err: escaped},
		"a password with a hash":     {give: "url: 'redis://u:12#s3cret@a'", err: escaped},
		"a path": {
			give: "url: redis://a/s3cret",
			err:  "redis.url: may have a database number after the host, and no other path",
		},
		"reads from replicas": {
			give: "url: redis://a?addr=b:1&read_only=true",
			err:  "redis.url: has a parameter that is none of " + parameters,
		},
		"no timeout": {
			give: "url: redis://a?read_timeout=-1",
			err:  "redis.url: has a parameter read_timeout that cannot be used",
		},
		"a bad node": {
			give: "url: redis://a?addr=b",
			err:  "redis.url: has a parameter addr that cannot be used",
		},
		"two masters": {
			give: "url: redis://a?master_name=a&master_name=b",
			err:  "redis.url: has the parameter master_name more than once",
		},
		"a password without Sentinel": {
			give: "url: redis://a?password=s3cret",
			err:  "redis.url: has a username or password as a parameter, which is only for the master behind Sentinels",
		},
		"user and password beside it": {
			give: "{url: redis://a:1/2, username: u, password: '${RAW}'}", want: "redis://u:s3%40c%2Fr%3F%23%25et@a:1/2",
		},
		"a password alone": {
			give: "{url: 'redis://a?addr=b:1', password: '${PASSWORD}'}", want: "redis://:s3cret@a?addr=b:1",
		},
		"beside Sentinels": {
			give: "{url: 'redis://:a@s?master_name=m', username: u, password: '${PASSWORD}'}",
			want: "redis://:a@s?master_name=m&password=s3cret&username=u",
		},
		"both": {
			give: "{url: redis://u@a, password: '${PASSWORD}'}",
			err:  "redis.url: has a user or password, and redis.password is set: keep one of them",
		},
		"both behind Sentinels": {
			give: "{url: 'redis://a?master_name=m&password=x', password: '${PASSWORD}'}",
			err:  "redis.url: has a user or password, and redis.password is set: keep one of them",
		},
		"a missing password": {
			give: "{url: redis://a, password: '${MISSING}'}",
			err:  "redis.password: needs variables that are not set: MISSING",
		},
		"an empty password": {
			give: "{url: redis://a, password: '${EMPTY}'}", err: "redis.password: resolves to an empty value",
		},
		"a missing variable": {
			give: "url: ${MISSING}",
			err:  "redis.url: needs variables that are not set: MISSING",
		},
		"no host":        {give: "url: redis://u:s3cret@", err: scheme},
		"another scheme": {give: "url: https://u:s3cret@a", err: scheme},
		"not a URL":      {give: "url: 'redis://u:s3%cret@a'", err: scheme},
		"files without TLS": {
			give: "{url: redis://a, tls: {ca_file: /none}}",
			err:  "redis.url: must begin with rediss://, because redis.tls is set",
		},
		"missing files": {
			give: "{url: rediss://a, tls: {ca_file: /none}}",
			err:  "redis.tls.ca_file: stat /none: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, "f.yaml", "redis:\n  "+strings.ReplaceAll(test.give, "\n", "\n  "))
			config, _, err := Load(Sources{File: file, Environ: []string{
				"PASSWORD=s3cret", "EMPTY=", "RAW=s3@c/r?#%et",
			}})
			require.NoError(t, err)
			got, err := config.ResolveRedis()
			if test.err == "" {
				require.NoError(t, err)
				require.Equal(t, test.want, got)
				return
			}
			require.EqualError(t, err, "configuration: 1 fault\n  "+file+":2: "+test.err)
			require.NotContains(t, err.Error(), "s3c")
		})
	}
}

func TestResolveNamesEveryFaultOfWhatTheProcessNeeds(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	text := write(t, "text", "no PEM")
	file := write(t, "f.yaml", `
redis: {url: http://u:s3cret@a, password: file:/none}
proxy:
  endpoints:
    a:
      url: https://a
      auth: {type: bearer, token: "${MISSING}"}
      tls: {cert_file: `+certificate+`, key_file: `+text+`}
    b: {url: https://b, tls: {cert_file: `+certificate+`, key_file: `+key+`}}
`)
	const (
		url      = ":2: redis.url: must be a URL that begins with redis:// or rediss:// and names a host"
		password = ":2: redis.password: stat /none: no such file or directory"
		missing  = "needs variables that are not set: MISSING"
	)
	ofEndpoints := []string{
		":7: proxy.endpoints.a.auth.token: " + missing,
		":8: proxy.endpoints.a.tls.cert_file: cannot be used with key_file: tls: failed to find any PEM data in key input",
	}
	for name, tt := range map[string]struct {
		queue, role string
		want        []string
	}{
		"embedded": {QueueEmbedded, RoleAll, ofEndpoints},
		"api":      {QueueRedis, RoleAPI, []string{password, url}},
		"redis":    {QueueRedis, RoleWorker, append([]string{password, url}, ofEndpoints...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _, err := Load(Sources{File: file, Flags: map[string]string{"queue.type": tt.queue, "role": tt.role}})
			require.NoError(t, err)
			err = config.Resolve()
			var report *Error
			require.ErrorAs(t, err, &report)
			var got []string
			for _, fault := range report.Faults {
				got = append(got, strings.TrimPrefix(fault.String(), file))
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestFaultsAreJoined(t *testing.T) {
	t.Parallel()
	a := &Error{Faults: []Fault{{Key: "a", Reason: "first"}}}
	b := &Error{Faults: []Fault{{Key: "a", Reason: "second"}, {Key: "b", Reason: "third"}}}
	require.NoError(t, Join(nil, nil))
	joined := Join(a, nil, b, errors.New("fourth"))
	require.EqualError(t, joined, "configuration: 3 faults\n  a: first\n  b: third\n  fourth")
	require.True(t, b.Blames("c", "b"))
	require.False(t, b.Blames("c"))
}
