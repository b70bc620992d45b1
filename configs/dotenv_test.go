package configs

import (
	"os"
	"path/filepath"
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

func TestWhichDotenvFileIsRead(t *testing.T) {
	t.Parallel()
	const count = "OPENHQM_WORKER_COUNT="
	beside := write(t, "f.yaml", "")
	besideEnv := filepath.Join(filepath.Dir(beside), ".env")
	require.NoError(t, os.WriteFile(besideEnv, []byte(count+"2"), 0o600))
	alone := write(t, "f.yaml", "")
	asked := write(t, "any.env", count+"3")
	for name, test := range map[string]struct {
		give     Sources
		want     int
		wantFile string
	}{
		"none without a file":     {give: Sources{}, want: 64},
		"none beside the file":    {give: Sources{File: alone}, want: 64},
		"the one beside the file": {give: Sources{File: beside}, want: 2, wantFile: besideEnv},
		"beside a file from a variable": {
			give: Sources{Environ: []string{"OPENHQM_CONFIG=" + beside}}, want: 2, wantFile: besideEnv,
		},
		"the one that was asked for": {give: Sources{File: beside, DotEnv: asked}, want: 3, wantFile: asked},
		"the one that a variable names": {
			give: Sources{Environ: []string{"OPENHQM_ENV_FILE=" + asked}}, want: 3, wantFile: asked,
		},
		"none for those who want none": {give: Sources{File: beside, DotEnv: asked, NoDotEnv: true}, want: 64},
		"and the environment still wins": {
			give: Sources{File: beside, Environ: []string{count + "4"}}, want: 4, wantFile: besideEnv,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _, err := Load(test.give)
			require.NoError(t, err)
			require.Equal(t, test.want, config.Worker.Count)
			require.Equal(t, test.wantFile, config.DotEnv())
		})
	}
}

func TestADotenvFileThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o644: "", 0o664: errWritable.Error(), 0o646: errWritable.Error(),
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			file := write(t, "f.yaml", "")
			path := filepath.Join(filepath.Dir(file), ".env")
			require.NoError(t, os.WriteFile(path, []byte("OPENHQM_WORKER_COUNT=2"), 0o600))
			require.NoError(t, os.Chmod(path, mode))
			for _, sources := range []Sources{{File: file}, {DotEnv: path}} {
				config, _, err := Load(sources)
				if want == "" {
					require.NoError(t, err)
					require.Equal(t, 2, config.Worker.Count)
				} else {
					require.EqualError(t, err, "configuration: 1 fault\n  "+path+": cannot be read: "+want)
				}
			}
		})
	}
}

func TestADotenvFileOfAStrangerIsReadOnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	file := write(t, "f.yaml", "")
	path := filepath.Join(filepath.Dir(file), ".env")
	require.NoError(t, os.WriteFile(path, []byte("OPENHQM_WORKER_COUNT=2"), 0o600))
	require.NoError(t, os.Chown(path, 12345, -1))

	_, _, err := Load(Sources{File: file})
	require.ErrorContains(t, err, errForeign.Error())
	config, _, err := Load(Sources{DotEnv: path})
	require.NoError(t, err)
	require.Equal(t, 2, config.Worker.Count)

	require.NoError(t, os.Chown(file, 12345, -1))
	config, _, err = Load(Sources{File: file})
	require.NoError(t, err, "whoever owns the configuration may set all of it")
	require.Equal(t, 2, config.Worker.Count)
}
