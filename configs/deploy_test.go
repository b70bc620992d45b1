package configs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	composeFile      = "deploy/compose.yaml"
	composeRedisFile = "deploy/compose-redis.yaml"
	kubernetesFile   = "deploy/kubernetes.yaml"
	dockerfile       = "../scripts/docker/Dockerfile"
)

// shutdownRest is what a shutdown takes at worst besides server.shutdown_delay and worker.drain.
const shutdownRest = 30 * time.Second

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// compose is what we look at in a compose file (https://docs.docker.com/reference/compose-file/services/).
type compose struct {
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Needs       map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"` //nolint:tagliatelle // its name
	Grace       time.Duration `yaml:"stop_grace_period"` //nolint:tagliatelle // its name
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	Volumes []string `yaml:"volumes"`
}

// composed reads the services of a compose file.
func composed(t *testing.T, path string) map[string]composeService {
	t.Helper()
	var file compose
	require.NoError(t, yaml.Unmarshal([]byte(readText(t, path)), &file))
	return file.Services
}

// runsTheImage loads the configuration of a service, and checks what every service of ours must have.
func (s composeService) runsTheImage(t *testing.T) Config {
	t.Helper()
	var environ []string
	for name, value := range s.Environment {
		environ = append(environ, name+"="+value)
	}
	config := deployed(t, environ)
	require.Greater(t, s.Grace, config.Server.ShutdownDelay+config.Worker.Drain+shutdownRest)
	require.Equal(t, []string{"CMD", "/openhqm", "healthcheck"}, s.Healthcheck.Test)
	require.Contains(t, readText(t, dockerfile), ` CMD ["/openhqm", "healthcheck"]`)
	return config
}

// manifest is what we look at in a Service or a StatefulSet of Kubernetes.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Replicas int `yaml:"replicas"`
		Ports    []struct {
			Name string `yaml:"name"`
			Port int    `yaml:"port"`
		} `yaml:"ports"`
		Template struct {
			Spec pod `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type pod struct {
	Grace    int `yaml:"terminationGracePeriodSeconds"`
	Security struct {
		NonRoot bool `yaml:"runAsNonRoot"`
		User    int  `yaml:"runAsUser"`
		Group   int  `yaml:"fsGroup"`
	} `yaml:"securityContext"`
	Containers []struct {
		Env []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		Ports []struct {
			Name string `yaml:"name"`
			Port int    `yaml:"containerPort"`
		} `yaml:"ports"`
		Startup   probe `yaml:"startupProbe"`
		Liveness  probe `yaml:"livenessProbe"`
		Readiness probe `yaml:"readinessProbe"`
		Security  struct {
			ReadOnly bool `yaml:"readOnlyRootFilesystem"`
		} `yaml:"securityContext"`
		Mounts []struct {
			Path string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	} `yaml:"containers"`
}

type probe struct {
	Get struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}

// manifests reads the Service and the StatefulSet.
func manifests(t *testing.T) (service, statefulSet manifest) {
	t.Helper()
	byKind := map[string]manifest{}
	decoder := yaml.NewDecoder(bytes.NewBufferString(readText(t, kubernetesFile)))
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, byKind, m.Kind)
		byKind[m.Kind] = m
	}
	require.Len(t, byKind, 2)
	return byKind["Service"], byKind["StatefulSet"]
}

// deployed loads the configuration that a container has with its variables on top of the image's.
func deployed(t *testing.T, environ []string) Config {
	t.Helper()
	for _, image := range regexp.MustCompile(`(?m)^ENV (\S+)$`).FindAllStringSubmatch(readText(t, dockerfile), -1) {
		environ = append([]string{image[1]}, environ...)
	}
	config, warnings, err := Load(Sources{Environ: environ})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, "/data", config.Embedded.Dir)
	return config
}

// Those in comments count too: somebody will uncomment them.
func TestDeploymentsNameOnlyKnownVariables(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("deploy/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(paths), 3)
	for _, path := range append(paths, dockerfile) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			names := regexp.MustCompile(`OPENHQM_\w+[:=\s]`).FindAllString(readText(t, path), -1)
			require.NotEmpty(t, names)
			for _, name := range names {
				name = name[:len(name)-1]
				_, found := schema.byVariable(strings.TrimPrefix(name, variablePrefix))
				require.True(t, found != nil || name == fileVariable, name)
			}
		})
	}
}

func TestTheComposeFileFitsTheImage(t *testing.T) {
	t.Parallel()
	services := composed(t, composeFile)
	require.Len(t, services, 1)
	service := services["openhqm"]
	config := service.runsTheImage(t)
	require.Equal(t, []string{"127.0.0.1:8000:" + strconv.Itoa(config.Server.Port)}, service.Ports)
	require.Equal(t, []string{"data:" + config.Embedded.Dir}, service.Volumes)
}

func TestTheComposeFileWithRedisHasItsRolesApart(t *testing.T) {
	t.Parallel()
	services := composed(t, composeRedisFile)
	require.Len(t, services, 3)
	for name, role := range map[string]string{"api": RoleAPI, "worker": RoleWorker} {
		service := services[name]
		config := service.runsTheImage(t)
		require.Equal(t, role, config.Role)
		require.Equal(t, QueueRedis, config.Queue.Type)
		url, err := config.ResolveRedis()
		require.NoError(t, err)
		require.Equal(t, "redis://redis:6379", url)
		require.Equal(t, "service_healthy", service.Needs["redis"].Condition)
		require.Empty(t, service.Volumes)
		if role == RoleAPI {
			require.Equal(t, []string{"127.0.0.1:8000:" + strconv.Itoa(config.Server.Port)}, service.Ports)
		} else {
			require.Empty(t, service.Ports)
		}
	}
	redis := services["redis"]
	require.Equal(t, []string{"data:/data"}, redis.Volumes)
	require.Empty(t, redis.Ports)
	// A 202 must outlive a power cut, and a Redis that is full must refuse.
	command := strings.Join(redis.Command, " ")
	for _, setting := range []string{"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"} {
		require.Contains(t, command, setting)
	}
}

func TestTheKubernetesManifestFitsTheImage(t *testing.T) {
	t.Parallel()
	_, set := manifests(t)
	pod := set.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	container := pod.Containers[0]
	var environ []string
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	config := deployed(t, environ)

	require.Equal(t, 1, set.Spec.Replicas, "the embedded queue belongs to one process")
	require.Greater(t, time.Duration(pod.Grace)*time.Second,
		config.Server.ShutdownDelay+config.Worker.Drain+shutdownRest)
	require.Len(t, container.Ports, 2)
	require.Equal(t, config.Server.Port, container.Ports[0].Port)
	require.Equal(t, "0.0.0.0:"+strconv.Itoa(container.Ports[1].Port), config.Server.AdminListen,
		"administration is not on the port of the Service")
	require.Len(t, container.Mounts, 1)
	require.Equal(t, config.Embedded.Dir, container.Mounts[0].Path)
	for path, probes := range map[string][]probe{
		"/health/live":  {container.Startup, container.Liveness},
		"/health/ready": {container.Readiness},
	} {
		for _, p := range probes {
			require.Equal(t, path, p.Get.Path)
			require.Equal(t, container.Ports[0].Name, p.Get.Port)
		}
	}
	require.True(t, pod.Security.NonRoot)
	require.True(t, container.Security.ReadOnly)
	user := strconv.Itoa(pod.Security.User)
	require.Equal(t, pod.Security.User, pod.Security.Group)
	require.Contains(t, readText(t, dockerfile), "\nUSER "+user+":"+user+"\n")
}

// Kubernetes gives them to every container of the namespace, unless the pod has enableServiceLinks: false
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func TestTheVariablesThatTheServiceInjectsDoNoHarm(t *testing.T) {
	t.Parallel()
	service, _ := manifests(t)
	require.NotEmpty(t, service.Spec.Ports)
	name := strings.ToUpper(strings.ReplaceAll(service.Metadata.Name, "-", "_"))
	environ := []string{name + "_SERVICE_HOST=10.0.0.1"}
	for _, p := range service.Spec.Ports {
		port := strconv.Itoa(p.Port)
		address := "tcp://10.0.0.1:" + port
		environ = append(environ,
			name+"_SERVICE_PORT="+port, name+"_SERVICE_PORT_"+strings.ToUpper(p.Name)+"="+port,
			name+"_PORT="+address, name+"_PORT_"+port+"_TCP="+address, name+"_PORT_"+port+"_TCP_PROTO=tcp",
			name+"_PORT_"+port+"_TCP_PORT="+port, name+"_PORT_"+port+"_TCP_ADDR=10.0.0.1")
	}
	require.Equal(t, deployed(t, nil), deployed(t, environ))
}
