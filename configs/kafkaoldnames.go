package configs

var kafkaOldNames = []oldName{
	{variable: "QUEUE__KAFKA_BOOTSTRAP_SERVERS", key: "kafka.brokers"},
	{variable: "QUEUE__KAFKA_CONSUMER_GROUP", key: "kafka.group"},
}
