package configs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad holds that no file makes Load panic, that what it refuses is refused with an *Error, and that the dump of
// what it takes is taken too.
func FuzzLoad(f *testing.F) {
	f.Add(string(defaults))
	f.Add(dumped)
	f.Add("proxy: {endpoints: {a: &a {url: http://a}, b: {<<: *a, timeout: 5s}}}")
	f.Add("x-a: [1]\nproxy: {endpoints: {a: {url: http://a, timeout: 30, auth_type: bearer, auth_token: [x]}}}")
	f.Add("{store: {ttl: 7d1h}, worker: {count: 1e1, max_bytes: 1.0GiB}, server: {host: '[::]'}}")
	f.Add("server: &server {<<: [*server, *server]}")
	f.Add("? [a]\n: !!binary YQ==\n---\n- ${A:-b}")
	f.Add("{server: {port: 60, host: \"\\x1f\"}, retry: {on_status: [500, {}]}, role: }")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		config, _, err := Load(Sources{File: path})
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		text, err := config.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Load(Sources{File: path}); err != nil {
			t.Fatalf("the dump does not load: %v\n%s", err, text)
		}
	})
}

// FuzzDotenv holds that no .env file makes the parser panic, and that a value is either read or a fault.
func FuzzDotenv(f *testing.F) {
	f.Add("A=1\nexport B='x' # y\nC=\"\\n\"")
	f.Add("A=\"\\")
	f.Fuzz(func(t *testing.T, content string) {
		var r report
		file := parseDotenv(".env", content, &r)
		for name := range file.values {
			if !variableName.MatchString(name) || file.lines[name] == 0 {
				t.Fatalf("%q in line %d", name, file.lines[name])
			}
		}
	})
}
