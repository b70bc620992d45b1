package bootstrap

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARedisThatIsNotVerifiedIsTold(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"rediss://a:1?skip_verify=true": true, "rediss://a:1?skip_verify=false": false, "rediss://a:1": false,
		"redis://a:1?skip_verify=true": false, "%": false,
	} {
		require.Equal(t, want, unverified(url), url)
	}
}
