package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// smallDisk is a file system of its own, so that it can be full without harm.
type smallDisk struct {
	t    *testing.T
	path string
}

// newSmallDisk mounts a disk of that many MiB. Only root may do that: for other users the test is skipped.
func newSmallDisk(t *testing.T, size int) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small disk")
	}
	d := &smallDisk{t: t, path: t.TempDir()}
	err := syscall.Mount("openhqm-test", d.path, "tmpfs", 0, fmt.Sprintf("size=%dm", size))
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(d.path, syscall.MNT_DETACH)) })
	return d
}

// grow makes room.
func (d *smallDisk) grow(size int) {
	d.t.Helper()
	err := syscall.Mount("openhqm-test", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dm", size))
	require.NoError(d.t, err)
}

// configuration is of a gateway with its data on the disk.
func (d *smallDisk) configuration(backend *testkit.Backend, minFree string) string {
	return testkit.OneBackend(backend.URL) +
		fmt.Sprintf("embedded: {dir: %q, min_free: %s}\n", filepath.Join(d.path, "data"), minFree)
}

func TestADiskThatIsNearlyFullTakesNothingInUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t, 128)
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	process := testkit.NewGateway(t, disk.configuration(backend, "64MiB")).Start()
	client := process.Client()
	before := client.Submit(`{"payload": "before"}`).CorrelationID
	backend.Await(1)

	ballast := filepath.Join(disk.path, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 80<<20), 0o600))
	testkit.Until(t, "submits are refused", func() bool {
		return client.Post(`{"payload": "now?"}`, nil).Code == http.StatusServiceUnavailable
	})
	for range 20 {
		answer := client.Post(`{"payload": "too much"}`, nil)
		require.Equal(t, "QUEUE_FULL", answer.Problem(t, http.StatusServiceUnavailable).Code)
		require.NotEmpty(t, answer.Header.Get("Retry-After"))
	}
	require.Equal(t, "PROCESSING", client.Status(before).Status)
	close(release)
	require.Equal(t, `"before"`, string(client.Result(before).Result))

	require.NoError(t, os.Remove(ballast))
	testkit.Until(t, "submits are accepted again", func() bool {
		return client.Post(`{"payload": "now?"}`, nil).Code == http.StatusAccepted
	})
	id := client.Submit(`{"payload": "after"}`).CorrelationID
	require.Equal(t, `"after"`, string(client.Result(id).Result))
	require.False(t, process.Ended())
}

func TestADiskThatIsFullLosesNothing(t *testing.T) {
	t.Parallel()
	const small, large = 48, 512 // MiB
	disk := newSmallDisk(t, small)
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, disk.configuration(backend, "0B"))
	process := gateway.Start()

	accepted := fillUp(t, process.Client())
	require.NotEmpty(t, accepted)
	require.Equal(t, 1, process.Wait().ExitCode())
	again := gateway.Launch() // as a supervisor does, while there still is no room
	testkit.Until(t, "it has noticed, or found just enough", func() bool {
		text := again.Log.Text()
		return again.Ended() || strings.Contains(text, noSpace) || strings.Contains(text, `"listening"`)
	})
	again.Kill()

	disk.grow(large)
	client := gateway.Start().Client()
	for id, payload := range accepted {
		result := client.Result(id)
		require.Equalf(t, "COMPLETED", result.Status, "%.300s", result.Document)
		require.Equal(t, payload, string(result.Result))
	}
	id := client.Submit(`{"payload": "after"}`).CorrelationID
	require.Equal(t, `"after"`, string(client.Result(id).Result))
	t.Logf("%d requests were accepted before the disk was full", len(accepted))
}

func TestAStartOnAFullDiskEndsOrServes(t *testing.T) {
	t.Parallel()
	const few = 100
	disk := newSmallDisk(t, 48)
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, disk.configuration(backend, "0B"))
	process := gateway.Start()
	fillUp(t, process.Client())
	require.Equal(t, 1, process.Wait().ExitCode())

	again := gateway.Launch()
	testkit.Until(t, "it has ended, or serves", func() bool {
		text := again.Log.Text()
		require.Less(t, strings.Count(text, noSpace), few, "it says the same again and again, and does not end")
		return again.Ended() || strings.Contains(text, `"listening"`)
	})
	if again.Ended() {
		require.Equal(t, 1, again.Wait().ExitCode())
	}
}

// noSpace is the text of ENOSPC.
const noSpace = "no space left on device"

// fillUp submits until the process accepts no more, and returns the payloads of what was accepted, by id.
func fillUp(t *testing.T, client *testkit.Client) map[string]string {
	t.Helper()
	const most = 10_000
	accepted := make(map[string]string)
	for number := range most {
		payload := fmt.Sprintf(`"%d %s"`, number, strings.Repeat("x", 100<<10))
		receipt, err := client.TrySubmit(t.Context(), `{"payload": `+payload+`, "metadata": {"delay": "2s"}}`, nil)
		if err != nil {
			t.Logf("submit %d: %v", number, err)
			return accepted
		}
		accepted[receipt.CorrelationID] = payload
	}
	require.FailNow(t, "the disk is never full")
	return nil
}
