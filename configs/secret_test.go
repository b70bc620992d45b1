package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	type holder struct {
		Token   Secret
		Pointer *Secret
		Headers map[string]Secret
	}
	secret := Secret{reference: "s3cret", env: environment{"OTHER": "s3cret"}}
	held := holder{Token: secret, Pointer: &secret, Headers: map[string]Secret{"X-Key": secret}}

	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10s"} {
		shown[verb] = fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, &secret)
		shown["held "+verb] = fmt.Sprintf(verb, held)
	}
	inJSON, err := json.Marshal(held)
	require.NoError(t, err)
	shown["json"] = string(inJSON)
	inYAML, err := yaml.Marshal(held)
	require.NoError(t, err)
	shown["yaml"] = string(inYAML)
	shown["error"] = fmt.Errorf("call: %v", secret).Error()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Info("call", "secret", secret, "held", held)
		shown[name] = log.String()
	}

	for how, text := range shown {
		require.Contains(t, text, mask, how)
		require.NotContains(t, text, "s3cret", how)
		require.NotContains(t, text, fmt.Sprintf("%x", "s3cret"), how)
	}
}

func TestAnEmptySecretShowsThatItIsEmpty(t *testing.T) {
	t.Parallel()
	require.Empty(t, Secret{}.String())
	require.Empty(t, fmt.Sprint(Secret{}))
	require.Equal(t, `Secret("")`, fmt.Sprintf("%#v", Secret{}))
	text, err := Secret{}.MarshalText()
	require.NoError(t, err)
	require.Empty(t, text)
	require.False(t, Secret{}.IsSet())
}

func TestSecretsAreResolved(t *testing.T) {
	t.Parallel()
	file := write(t, "token", "from file\n\n")
	crlf := write(t, "crlf", "from file\r\n")
	env := environment{"TOKEN": "from env", "DIR": filepath.Dir(file), "LOOKALIKE": "file:" + file}
	for _, test := range []struct{ give, want string }{
		{give: "", want: ""},
		{give: "literal", want: "literal"},
		{give: "${TOKEN}", want: "from env"},
		{give: "key ${TOKEN} ${MISSING:-x}", want: "key from env x"},
		{give: "file:" + file, want: "from file\n"},
		{give: "file:${DIR}/token", want: "from file\n"},
		{give: "file:" + crlf, want: "from file"},
		{give: "${LOOKALIKE}", want: "file:" + file}, // what a variable holds is a value, not a reference
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			got, err := Secret{reference: test.give, env: env}.Resolve()
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestAFileOfTheGreatestSizeIsResolved(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("x", maxSecretFile)
	got, err := Secret{reference: "file:" + write(t, "token", content)}.Resolve()
	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestSecretsThatCannotBeResolved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := write(t, "large", strings.Repeat("x", maxSecretFile+1))
	for _, test := range []struct{ give, want string }{
		{give: "s3cret ${MISSING}", want: "needs variables that are not set: MISSING"},
		{give: "file:${MISSING}", want: "needs variables that are not set: MISSING"},
		{give: "file:" + filepath.Join(dir, "none"), want: "no such file"},
		{give: "file:" + dir, want: "not a regular file"},
		{give: "file:" + os.DevNull, want: "not a regular file"},
		{give: "file:" + large, want: "larger than 64KiB"},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			value, err := Secret{reference: test.give}.Resolve()
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "s3cret")
			require.Empty(t, value)
		})
	}
}
