package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestAHopIsFoundInVia(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		give []string
		want bool
	}{
		"no field":                    {},
		"alone":                       {give: []string{"1.1 openhqm-1"}, want: true},
		"among others":                {give: []string{"1.0 fred, 1.1 openhqm-1 (a comment), 2.0 nginx"}, want: true},
		"in a second line":            {give: []string{"1.0 fred", "HTTP/1.1\topenhqm-1"}, want: true},
		"another gateway of the kind": {give: []string{"1.1 openhqm-2, 1.1 openhqm-11"}},
		"only in a comment":           {give: []string{"1.1 fred (openhqm-1)"}},
		"without a protocol":          {give: []string{"openhqm-1"}},
		"nothing":                     {give: []string{"", " , "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, domain.Header{"Via": tt.give}.PassedThrough("openhqm-1"))
		})
	}
}
