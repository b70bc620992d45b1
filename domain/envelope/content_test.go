package envelope_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/envelope"
)

func TestIsJSON(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]bool{
		"application/json": true, "Application/JSON": true, " application/json ;": true, "application/json; charset": true,
		"application/json; charset=utf-8; charset=UTF-8": true, `application/json; a="`: true, "application/json;;": true,
		"application/vnd.api+json; v=1; v=2": true, "image/svg+JSON": true,
		"": false, "json": false, "+json": false, "/+json": false, "application/": false, "application/jsonp": false,
		"text/plain; a=application/json": false, "a b/c+json": false, "application/json, text/plain": false,
		"application/json text": false, "a/b/c+json": false,
	} {
		require.Equal(t, want, envelope.IsJSON(give), "%q", give)
	}
}
