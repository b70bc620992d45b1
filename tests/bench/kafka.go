package main

import (
	"path/filepath"

	"github.com/openhqm/openhqm/tests/kafkaserver"
)

// productionJVM undoes what scripts/brokers/ensure sets to make Kafka start fast, and then is what Kafka's own
// bin/kafka-run-class.sh and bin/kafka-server-start.sh set.
const productionJVM = "-XX:TieredStopAtLevel=4 -XX:-UseSerialGC -XX:+UseG1GC -XX:MaxGCPauseMillis=20 " +
	"-XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Xms1g -Xmx1g"

// cluster is the Kafka of a run.
type cluster struct {
	*kafkaserver.Cluster

	process *process
}

// startKafka gives the one Kafka of the run: it is only fast once its Java has compiled what it uses most. It writes to
// disk when the kernel does, as is its default: it promises what its replicas have. Each store has topics of its own.
func (b *bench) startKafka() (*process, error) {
	if b.kafka != nil {
		return b.kafka.process, nil
	}
	brokers, err := kafkaserver.Start(kafkaserver.Options{
		Program: b.kafkaServer, Dir: filepath.Join(b.dir, "kafka"), Brokers: 1, Protocol: "PLAINTEXT", JVM: b.jvm,
	})
	if err != nil {
		return nil, err
	}
	b.kafka = &cluster{brokers, &process{pid: brokers.Process(0).Pid, address: brokers.Brokers[0]}}
	return b.kafka.process, nil
}
