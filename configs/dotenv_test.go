package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDotenvLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ give, want string }{
		{give: `A=1`, want: "1"},
		{give: `export A=1`, want: "1"},
		{give: "  A = 1  \r\n", want: "1"},
		{give: `A=`, want: ""},
		{give: `A= # nothing`, want: ""},
		{give: `A=x # comment`, want: "x"},
		{give: `A=x#y`, want: "x#y"},
		{give: `A=x y=z`, want: "x y=z"},
		{give: `A=${B} $C \n`, want: `${B} $C \n`},
		{give: `A=it's`, want: "it's"},
		{give: `A=''`, want: ""},
		{give: `A='x # "y" \n' # comment`, want: `x # "y" \n`},
		{give: `A="x # 'y'\n\r\t\"\\\$"`, want: "x # 'y'\n\r\t\"\\$"},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			var r report
			file := parseDotenv(".env", "# comment\n\n"+test.give, &r)
			require.NoError(t, r.err())
			require.Equal(t, environment{"A": test.want}, file.values)
			require.Equal(t, map[string]int{"A": 3}, file.lines)
		})
	}
}

func TestDotenvMayBeginWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	var r report
	require.Equal(t, environment{"A": "1"}, parseDotenv(".env", "\ufeffA=1", &r).values)
	require.NoError(t, r.err())
}

func TestDotenvFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ give, want string }{
		{give: "s3cret", want: ".env:1: must be NAME=VALUE, a comment or empty"},
		{give: "=s3cret", want: ".env:1: must be NAME=VALUE, a comment or empty"},
		{give: "A-B=s3cret", want: ".env:1: must be NAME=VALUE, a comment or empty"},
		{give: "set A=s3cret", want: ".env:1: must be NAME=VALUE, a comment or empty"},
		{give: "A='s3cret", want: "A in .env:1: has no closing quote on its line"},
		{give: "A=\"s3cret\nB=1", want: "A in .env:1: has no closing quote on its line"},
		{give: `A="s3cret\"`, want: "A in .env:1: has no closing quote on its line"},
		{give: `A="s3cret\`, want: `A in .env:1: has an unknown escape; known are \n \r \t \" \\ \$`},
		{give: `A="s3cret\x"`, want: `A in .env:1: has an unknown escape; known are \n \r \t \" \\ \$`},
		{give: `A="s3"cret`, want: "A in .env:1: has text after its closing quote"},
		{give: "A=s3cret\xff", want: "A in .env:1: " + errCharacters.Error()},
		{give: "A=1\n\nA=s3cret", want: "A in .env:3: is already in .env:1"},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			var r report
			parseDotenv(".env", test.give, &r)
			require.EqualError(t, r.err(), "configuration: 1 fault\n  "+test.want)
		})
	}
}
