package cli

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("it broke")

// testProgram has a configuration that no process listens by.
func testProgram() *Program {
	return &Program{
		Version:     "1.2",
		Roles:       []string{"all", "api", "worker"},
		QueueTypes:  []string{"embedded", "redis"},
		Getenv:      func(string) string { return "" },
		Serve:       func(Settings) error { return errTest },
		Move:        func(MoveOrder, io.Writer) error { return errTest },
		PrintConfig: func(Settings, io.Writer, io.Writer) error { return errTest },
		CheckConfig: func(Settings, io.Writer) error { return errTest },
		Listen:      func(Settings) (Listener, error) { return Listener{}, errTest },
	}
}

func run(program *Program, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = program.Run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestWithoutACommandTheGatewayRuns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give []string
		want Settings
	}{
		{give: nil, want: Settings{Values: map[string]string{}}},
		{
			give: []string{"--config", "a.yaml", "--env-file", "b", "--role=api", "--queue-type", "redis"},
			want: Settings{File: "a.yaml", DotEnv: "b", Values: map[string]string{"role": "api", "queue.type": "redis"}},
		},
		{give: []string{"--role="}, want: Settings{Values: map[string]string{"role": ""}}},
	} {
		program := testProgram()
		var got Settings
		program.Serve = func(settings Settings) error {
			got = settings
			return nil
		}
		code, stdout, stderr := run(program, tt.give...)
		require.Equal(t, exitOK, code)
		require.Equal(t, tt.want, got)
		require.Empty(t, stdout)
		require.Empty(t, stderr)
	}
}

func TestTheExitCodeSaysWhatKindOfErrorItWas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give       error
		want       int
		wantStderr string
	}{
		{give: nil, want: exitOK},
		{give: errTest, want: exitFailed, wantStderr: "openhqm: it broke\n"},
		{give: ErrLogged, want: exitFailed},
		{give: &ConfigError{errTest}, want: exitUsage, wantStderr: "openhqm: it broke\n"},
	} {
		program := testProgram()
		program.Serve = func(Settings) error { return tt.give }
		program.PrintConfig = func(Settings, io.Writer, io.Writer) error { return tt.give }
		for _, args := range [][]string{nil, {"config"}} {
			code, stdout, stderr := run(program, args...)
			require.Equal(t, tt.want, code)
			require.Empty(t, stdout)
			require.Equal(t, tt.wantStderr, stderr)
		}
	}
}

func TestAWrongCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"serve":                `unknown command "serve"; see openhqm --help`,
		"confg":                `unknown command "confg", did you mean "config"?; see openhqm --help`,
		"--port=1":             "unknown flag: --port; see openhqm --help",
		"-- config":            `unknown command "config"; see openhqm --help`,
		"config more":          `unexpected argument "more"; see openhqm config --help`,
		"healthcheck more":     `unexpected argument "more"; see openhqm healthcheck --help`,
		"help more":            `unknown command "more"; see openhqm help --help`,
		"help dlq more":        `unknown command "dlq more"; see openhqm help --help`,
		"data":                 "data: name one of check, repair, backup; see openhqm data --help",
		"data check":           "give DIR; see openhqm data check --help",
		"data backup a":        "give DIR and TARGET; see openhqm data backup --help",
		"data backup --live a": `unexpected argument "a"; see openhqm data backup --help`,
		"completion":           "name one shell: bash, zsh, fish, powershell; see openhqm completion --help",
		"completion tcsh":      "name one shell: bash, zsh, fish, powershell; see openhqm completion --help",
		"dlq list --role api":  "unknown flag: --role; see openhqm dlq list --help",
	} {
		code, stdout, stderr := run(testProgram(), strings.Fields(give)...)
		require.Equal(t, exitUsage, code, give)
		require.Empty(t, stdout, give)
		require.Equal(t, "openhqm: "+want+"\n", stderr, give)
	}
}

// commands are the command itself and all below it, except hidden ones.
func commands(command *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{command}
	for _, c := range command.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	all := commands(testProgram().root())
	require.Len(t, all, 15)
	for _, command := range all {
		_, path, _ := strings.Cut(command.CommandPath(), " ")
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(path)
			code, help, stderr := run(testProgram(), append(words, "--help")...)
			require.Equal(t, exitOK, code)
			require.Empty(t, stderr)
			require.Contains(t, help, "Examples:\n  ")
			for line := range strings.Lines(help) {
				require.LessOrEqual(t, len(line), 121, line)
			}

			for _, other := range [][]string{append(words, "-h"), append([]string{"help"}, words...)} {
				code, same, stderr := run(testProgram(), other...)
				require.Equal(t, exitOK, code)
				require.Equal(t, help, same, other)
				require.Empty(t, stderr)
			}
		})
	}
}

func TestHelpNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	_, help, _ := run(testProgram(), "help")
	for _, want := range []string{
		"config", "healthcheck", "dlq", "data", "move", "version", "completion",
		"--config file", "--role", "--queue-type", "OPENHQM_ROLE",
	} {
		require.Contains(t, help, want)
	}
	_, help, _ = run(testProgram(), "help", "dlq", "purge")
	for _, want := range []string{"--yes", "--all", "--endpoint", "--url", "--json"} {
		require.Contains(t, help, want)
	}
	_, help, _ = run(testProgram(), "dlq", "--help")
	require.Contains(t, help, keyVariable)
}

func TestTheVersionIsPrinted(t *testing.T) {
	t.Parallel()
	code, stdout, _ := run(testProgram(), "--version")
	require.Equal(t, exitOK, code)
	require.Equal(t, "openhqm 1.2\n", stdout)

	code, stdout, _ = run(testProgram(), "version")
	require.Equal(t, exitOK, code)
	require.Equal(t, "openhqm 1.2 ("+runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH+")\n", stdout)
}

func TestCompletionScriptsAreForTheirShells(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{
		"bash": "complete -o default -F __start_openhqm openhqm", "zsh": "#compdef openhqm",
		"fish": "complete -c openhqm", "powershell": "Register-ArgumentCompleter -CommandName 'openhqm'",
	} {
		code, script, stderr := run(testProgram(), "completion", shell)
		require.Equal(t, exitOK, code)
		require.Contains(t, script, want)
		require.Contains(t, script, "__complete", "it asks this program what there is")
		require.Empty(t, stderr)
	}
}

func TestCompletionOffersCommandsFlagsAndValues(t *testing.T) {
	t.Parallel()
	const files, nothing = ":8", ":4" // cobra's words for "files of these kinds" and "no files"
	for _, tt := range []struct {
		give []string
		want []string
	}{
		{[]string{"d"}, []string{"dlq\tList, show, resend or purge dead letters of a running api", nothing}},
		{[]string{"dlq", "s"}, []string{"show\tShow one dead letter with its original", nothing}},
		{[]string{"help", "dlq", "pu"}, []string{"purge\tDelete one dead letter, or those that match, for good", nothing}},
		{[]string{"--role", ""}, []string{"all", "api", "worker", nothing}},
		{[]string{"config", "--queue-type", "r"}, []string{"redis", nothing}},
		{[]string{"dlq", "list", "--reason", "dead"}, []string{"deadline", nothing}},
		{[]string{"completion", "b"}, []string{"bash", nothing}},
		{[]string{"dlq", "list", "--config", ""}, []string{"yaml", "yml", files}},
		{[]string{"dlq", "purge", "--ye"}, []string{"--yes\treally delete them", nothing}},
	} {
		code, stdout, _ := run(testProgram(), append([]string{"__complete"}, tt.give...)...)
		require.Equal(t, exitOK, code)
		for _, want := range tt.want {
			require.Contains(t, strings.Split(stdout, "\n"), want, tt.give)
		}
	}
}

func TestAConfigurationCanBeChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give       error
		wantCode   int
		wantStdout string
		wantStderr string
	}{
		{nil, exitOK, "the configuration can be used\n", "a warning\n"},
		{&ConfigError{errTest}, exitUsage, "", "a warning\nopenhqm: it broke\n"},
	} {
		program := testProgram()
		program.CheckConfig = func(settings Settings, stderr io.Writer) error {
			require.Equal(t, "a.yaml", settings.File)
			require.False(t, settings.NoDotEnv)
			_, _ = io.WriteString(stderr, "a warning\n")
			return tt.give
		}
		code, stdout, stderr := run(program, "config", "--check", "--config", "a.yaml")
		require.Equal(t, tt.wantCode, code)
		require.Equal(t, tt.wantStdout, stdout)
		require.Equal(t, tt.wantStderr, stderr)
	}
}
