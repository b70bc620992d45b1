package faults_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

func TestADiskThatIsNearlyFullBeginsNothingUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t, 128)
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	process := testkit.NewGateway(t, disk.configuration(backend, "64MiB")).Start()
	client := process.Client()
	before := client.Submit(`{"payload": "before"}`).CorrelationID
	backend.Await(1)
	const delay = 3 * time.Second
	submitted := time.Now()
	due := client.Submit(`{"payload": "due", "metadata": {"delay": "3s"}}`).CorrelationID

	ballast := filepath.Join(disk.path, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 80<<20), 0o600))
	testkit.Until(t, "submits are refused", func() bool {
		return client.Post(`{"payload": "now?"}`, nil).Code == http.StatusServiceUnavailable
	})
	for range 20 {
		answer := client.Post(`{"payload": "too much"}`, nil)
		require.Equal(t, "STORAGE_LOW", answer.Problem(t, http.StatusServiceUnavailable).Code)
		require.NotEmpty(t, answer.Header.Get("Retry-After"))
	}
	require.Equal(t, "PROCESSING", client.Status(before).Status)
	close(release)
	require.Equal(t, `"before"`, string(client.Result(before).Result))
	testkit.Until(t, "the delay is over", func() bool { return time.Since(submitted) > delay+time.Second })
	record := client.Status(due)
	require.Equal(t, "PENDING", record.Status, "no call begins")
	require.Zero(t, record.Attempts)
	ready := client.Get("/health/ready")
	require.Equal(t, http.StatusServiceUnavailable, ready.Code)
	require.Contains(t, string(ready.Body), `"disk":{"status":"unavailable"`)
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	require.Equal(t, 1, strings.Count(process.Log.Text(), `"disk: `), "it is said once")

	require.NoError(t, os.Remove(ballast))
	testkit.Until(t, "submits are accepted again", func() bool {
		return client.Post(`{"payload": "now?"}`, nil).Code == http.StatusAccepted
	})
	id := client.Submit(`{"payload": "after"}`).CorrelationID
	require.Equal(t, `"after"`, string(client.Result(id).Result))
	require.Equal(t, `"due"`, string(client.Result(due).Result))
	require.Equal(t, 1, client.Status(due).Attempts)
	require.False(t, process.Ended())
}

// A full disk refuses what is new, and everything goes on when it has room.
func TestADiskThatIsFullLosesNothing(t *testing.T) {
	t.Parallel()
	const small, large = 96, 512 // MiB
	disk := newSmallDisk(t, small)
	backend := testkit.NewBackend(t, testkit.Echo())
	process := testkit.NewGateway(t, disk.configuration(backend, "0B")).Start()
	client := process.Client()
	accepted := fillUp(t, client)
	require.NotEmpty(t, accepted)
	require.Equal(t, "STORAGE_LOW", client.Post(`{"payload": "`+strings.Repeat("x", 100<<10)+`"}`, nil).
		Problem(t, http.StatusServiceUnavailable).Code)

	disk.grow(large)
	requireResults(t, client, accepted)
	require.False(t, process.Ended())
	t.Logf("%d requests were accepted before the disk was full", len(accepted))
}

// With other programs on the disk it can be full to the last byte. Results can then be fetched all the same.
func TestAStartOnAFullDiskServesResultsUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	const small, large = 96, 512 // MiB
	disk := newSmallDisk(t, small)
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, disk.configuration(backend, "0B"))
	process := gateway.Start()
	client := process.Client()
	done := client.Submit(`{"payload": "done"}`).CorrelationID
	require.Equal(t, `"done"`, string(client.Result(done).Result))
	accepted := fillUp(t, client)
	process.Kill()
	disk.fill()

	again := gateway.Launch()
	again.AwaitListening()
	client = again.Client()
	require.Equal(t, `"done"`, string(client.Result(done).Result))
	for id := range accepted {
		require.Contains(t, []string{"PENDING", "COMPLETED"}, client.Status(id).Status)
	}
	require.Equal(t, "STORAGE_LOW",
		client.Post(`{"payload": "now?"}`, nil).Problem(t, http.StatusServiceUnavailable).Code)
	require.Equal(t, http.StatusServiceUnavailable, client.Get("/health/ready").Code)
	require.Contains(t, again.Log.Text(), "disk: opened read-only")

	// Room for a call, but not for what is in the logs.
	disk.grow(small + 20)
	grown := time.Now()
	testkit.Until(t, "it has looked at the disk again", func() bool { return time.Since(grown) > 3*time.Second })
	require.False(t, again.Ended(), again.Log.Text())

	disk.grow(large)
	requireResults(t, client, accepted)
	require.False(t, again.Ended())
	id := client.Submit(`{"payload": "after"}`).CorrelationID
	require.Equal(t, `"after"`, string(client.Result(id).Result))
}

// Answers are as large as they may be, and many calls are due at once. No more begin than the disk has room for.
func TestAnswersThatTheDiskHasNoRoomForAreHeldBack(t *testing.T) {
	t.Parallel()
	const requests, answer = 30, 10 << 20
	disk := newSmallDisk(t, 200)
	release := make(chan struct{})
	body := make([]byte, answer) // not compressible
	_, _ = rand.Read(body)
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Reply(
		func(w http.ResponseWriter, _ *http.Request, _ *testkit.Call) { _, _ = w.Write(body) })))
	process := testkit.NewGateway(t, disk.configuration(backend, "100MiB")).Start()
	client := process.Client()
	for range requests {
		client.Submit(`{"payload": 1, "metadata": {"delay": "1s", "max_attempts": 1}}`)
	}
	backend.Await(1)
	close(release)
	testkit.Until(t, "the disk is low", func() bool { return client.Get("/health/ready").Code != http.StatusOK })
	require.Positive(t, disk.free())
	require.False(t, process.Ended())
	require.Less(t, len(backend.Calls()), requests)

	disk.grow(2048)
	testkit.Until(t, "everything is done", func() bool { return len(backend.Calls()) == requests })
	require.False(t, process.Ended())
}

func TestExpiredDataGivesItsRoomBackWhileNothingHappens(t *testing.T) {
	t.Parallel()
	const requests, body, room = 100, 1 << 20, 64 << 20
	disk := newSmallDisk(t, 1024)
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	config := disk.configuration(backend, "0B") + "store: {ttl: 2s}\n"
	client := testkit.NewGateway(t, config).Start().Client()
	before := disk.free()
	content := make([]byte, body) // not compressible
	_, _ = rand.Read(content)
	payload := `{"payload": "` + base64.StdEncoding.EncodeToString(content) + `"}`
	for range requests {
		client.Submit(payload)
	}
	require.Greater(t, before-disk.free(), int64(room))
	close(release)
	testkit.Until(t, "the room is free again", func() bool { return before-disk.free() < room })
}

func TestADataDirectoryThatWasMovedIsAnOutage(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"embedded: {min_free: 0B}\n")
	process := gateway.Start()
	client := process.Client()
	data, aside := filepath.Join(gateway.Dir, "data"), filepath.Join(gateway.Dir, "aside")
	require.NoError(t, os.Rename(data, aside))
	testkit.Until(t, "it is noticed", func() bool { return client.Get("/health/ready").Code != http.StatusOK })
	require.Equal(t, "QUEUE_UNAVAILABLE",
		client.Post(`{"payload": 1}`, nil).Problem(t, http.StatusServiceUnavailable).Code)
	require.Contains(t, process.Log.Text(), "was moved, deleted or replaced")

	require.NoError(t, os.Rename(aside, data))
	testkit.Until(t, "it is back", func() bool { return client.Get("/health/ready").Code == http.StatusOK })
	id := client.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "1", string(client.Result(id).Result))
}

// The write-ahead log cannot be written any more: every further answer would be a promise that nobody keeps.
func TestAProcessThatCannotWriteItsLogEndsAndSaysWhy(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "embedded: {min_free: 0B}\n")
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", process.Client().Result(id).Status)
	process.LimitFileSize(1)
	_, err := process.Client().TryPost(t.Context(), `{"payload": 2}`, nil)
	require.Error(t, err, "no answer")
	require.Equal(t, 1, process.Wait().ExitCode())
	require.Contains(t, process.Log.Text(), "embedded database failed; the process ends")
	require.Equal(t, "COMPLETED", gateway.Start().Client().Status(id).Status)
}

// free returns how many bytes are free.
func (d *smallDisk) free() int64 {
	d.t.Helper()
	var stat syscall.Statfs_t
	require.NoError(d.t, syscall.Statfs(d.path, &stat))
	return int64(stat.Bavail) * stat.Bsize
}

// fill leaves no byte free.
func (d *smallDisk) fill() {
	d.t.Helper()
	file, err := os.Create(filepath.Join(d.path, "filler"))
	require.NoError(d.t, err)
	defer file.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	require.ErrorIs(d.t, err, syscall.ENOSPC)
}

func requireResults(t *testing.T, client *testkit.Client, accepted map[string]string) {
	t.Helper()
	for id, payload := range accepted {
		result := client.Result(id)
		require.Equalf(t, "COMPLETED", result.Status, "%.300s", result.Document)
		require.Equal(t, payload, string(result.Result))
	}
}

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
