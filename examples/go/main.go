// Reads a topic with franz-go and hamba/avro: go run . BROKERS REGISTRY TOPIC [GROUP]
//
// Prints one JSON object per record, and ends after five seconds without a new one.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: reader BROKERS REGISTRY TOPIC [GROUP]")
		os.Exit(64)
	}
	if err := read(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(brokers, registry, topic string, group ...string) error {
	options := []kgo.Opt{
		kgo.SeedBrokers(brokers),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	if len(group) > 0 {
		options = append(options, kgo.ConsumerGroup(group[0]))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	schemas := schemas{registry: registry, known: map[uint32]avro.Schema{}}
	for {
		patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		fetches := client.PollFetches(patience)
		cancel()
		if err := fetches.Err(); errors.Is(err, context.DeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if err := show(&schemas, record); err != nil {
				return fmt.Errorf("%s/%d@%d: %w", record.Topic, record.Partition, record.Offset, err)
			}
		}
	}
}

// Record is what this program wants of a record: a field per column, a pointer where null may stand. hamba matches fields
// by name and skips the others, so one struct reads every record type of the topic, and those of later versions.
type Record struct {
	Event Event `avro:"event" json:"event"`
	Deal  *Deal `avro:"deal" json:"deal,omitempty"`
}

type Event struct {
	ID         string     `avro:"id" json:"id"`
	Type       string     `avro:"type" json:"type"`
	OccurredAt *time.Time `avro:"occurred_at" json:"occurred_at"`
	ReceivedAt time.Time  `avro:"received_at" json:"received_at"`
}

type Deal struct {
	ID    string   `avro:"id" json:"id"`
	Title *string  `avro:"title" json:"title"`
	Value *float64 `avro:"value" json:"value"`
	Stage *string  `avro:"stage" json:"stage"` // JSON text
}

// show prints a record. Decide by its type before you decode: new types may come.
func show(schemas *schemas, record *kgo.Record) error {
	line := map[string]any{"key": string(record.Key), "type": header(record, "ce_type")}
	if record.Value != nil { // a tombstone has no value, and no headers
		value, err := schemas.decode(record.Value)
		if err != nil {
			return err
		}
		line["value"] = value
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}

func header(record *kgo.Record, name string) string {
	for _, header := range record.Headers {
		if header.Key == name {
			return string(header.Value)
		}
	}
	return ""
}

// schemas are those of a registry, each asked for once.
type schemas struct {
	registry string
	known    map[uint32]avro.Schema
}

// decode takes Confluent's wire format: a zero byte, the schema's id, the record.
func (s *schemas) decode(value []byte) (record Record, err error) {
	if len(value) < 5 || value[0] != 0 {
		return record, errors.New("not Confluent's wire format")
	}
	schema, err := s.get(binary.BigEndian.Uint32(value[1:5]))
	if err == nil {
		err = avro.Unmarshal(schema, value[5:], &record)
	}
	return record, err
}

func (s *schemas) get(id uint32) (avro.Schema, error) {
	if schema, ok := s.known[id]; ok {
		return schema, nil
	}
	answer, err := http.Get(fmt.Sprintf("%s/schemas/ids/%d", s.registry, id))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var found struct{ Schema string }
	if err := json.Unmarshal(body, &found); err != nil || found.Schema == "" {
		return nil, fmt.Errorf("schema %d: %s: %s", id, answer.Status, body)
	}
	schema, err := avro.Parse(found.Schema)
	if err == nil {
		s.known[id] = schema
	}
	return schema, err
}
