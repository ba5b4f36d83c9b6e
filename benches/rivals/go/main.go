// The service that a team would write by hand for one event type: net/http, franz-go, hamba/avro and sonic.
//
//	POST /webhooks/wegly ─▶ HMAC over the raw body ─▶ JSON ─▶ Avro ─▶ Kafka (acks=all, idempotent) ─▶ 200
//
// It takes lead.stage_changed of Wegly and makes the records that hookbridge makes: same schemas, keys, headers and ids. It
// leaves out what hookbridge exists for: other types and sources, keys that the schema does not know, dead letters, a spool.
// Phone numbers are taken as they are, which is right for the bodies of the benchmark and saves it the work.
//
// Variables: KAFKA, REGISTRY, SECRET, LISTEN; PREFIX of its topics; SCHEMAS, the prefix of the topics whose schemas it uses; RECORDS,
// 1 for the event alone or 2 for the last state of the lead, too. It ends when its standard input does.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bytedance/sonic"
	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	source    = "wegly"
	eventType = "lead.stage_changed"
	maxBody   = 16 << 20
	timeout   = 20 * time.Second
)

// service holds what every request needs.
type service struct {
	client        *kgo.Client
	event, latest target
	both          bool
	macs          sync.Pool
	bodies        sync.Pool
	writers       sync.Pool
}

// target is a topic and the schema of its records.
type target struct {
	topic  string
	schema avro.Schema
	frame  [5]byte // 0 and the schema's id, before every value
}

func newService(client *kgo.Client) *service {
	s := &service{client: client, both: os.Getenv("RECORDS") == "2"}
	prefix, schemas := os.Getenv("PREFIX"), os.Getenv("SCHEMAS")
	s.event = newTarget(prefix+"wegly.lead", schemas+"wegly.lead-wegly.LeadStageChanged")
	if s.both {
		s.latest = newTarget(prefix+"wegly.lead-latest", schemas+"wegly.lead-latest-value")
	}
	secret := []byte(os.Getenv("SECRET"))
	s.macs.New = func() any { return hmac.New(sha256.New, secret) }
	s.bodies.New = func() any { return bytes.NewBuffer(make([]byte, 0, 4096)) }
	// As hookbridge writes them: arrays without the size of their blocks.
	plain := avro.Config{DisableBlockSizeHeader: true}.Freeze()
	s.writers.New = func() any { return avro.NewWriter(io.Discard, 4096, avro.WithWriterConfig(plain)) }
	return s
}

func newTarget(topic, subject string) target {
	answer, err := http.Get(os.Getenv("REGISTRY") + "/subjects/" + subject + "/versions/latest")
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var version struct {
		ID     uint32
		Schema string
	}
	if err := json.NewDecoder(answer.Body).Decode(&version); err != nil || answer.StatusCode != http.StatusOK {
		log.Fatalf("%s: status %d, %v", subject, answer.StatusCode, err)
	}
	t := target{topic: topic, schema: avro.MustParse(version.Schema)}
	binary.BigEndian.PutUint32(t.frame[1:], version.ID)
	return t
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	buffer := s.bodies.Get().(*bytes.Buffer)
	buffer.Reset()
	defer s.bodies.Put(buffer)
	if _, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body := buffer.Bytes()
	if !s.authentic(body, r.Header.Get("x-wegly-signature")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	id, records, err := s.records(body, time.Now())
	if err != nil {
		log.Print(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := s.publish(records); err != nil {
		log.Print(err)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	fmt.Fprintf(w, `{"id":"%s","outcome":"published"}`, id)
}

func (s *service) authentic(body []byte, signature string) bool {
	var given, sum [sha256.Size]byte
	if len(signature) != hex.EncodedLen(len(given)) {
		return false
	}
	if _, err := hex.Decode(given[:], []byte(signature)); err != nil {
		return false
	}
	mac := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(body)
	mac.Sum(sum[:0])
	return hmac.Equal(sum[:], given[:])
}

// records makes the event's id and its records.
func (s *service) records(body []byte, received time.Time) (string, []*kgo.Record, error) {
	var e envelope
	// A copy: sonic's strings point into what it parsed.
	if err := sonic.ConfigDefault.UnmarshalFromString(string(body), &e); err != nil {
		return "", nil, err
	}
	lead := &e.Payload.Lead
	if e.EventKey != eventType || lead.ID == "" {
		return "", nil, errors.New("expected " + eventType + " with the lead's id")
	}
	id, key := eventID(body), []byte(lead.ID)
	e.Payload.Event = event{id, eventType, source, lead.ID, lead.UpdatedAt, received.UnixMilli()}
	headers := []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte(id)},
		{Key: "ce_source", Value: []byte("/webhooks/" + source)}, {Key: "ce_type", Value: []byte(source + "." + eventType)},
		{Key: "ce_subject", Value: key},
	}
	updated := received
	if lead.UpdatedAt != nil {
		occurred := time.UnixMilli(int64(*lead.UpdatedAt)).UTC()
		time := []byte(occurred.Format("2006-01-02T15:04:05.000Z"))
		headers = append(headers, kgo.RecordHeader{Key: "ce_time", Value: time})
		if occurred.Before(received) {
			updated = occurred
		}
	}
	headers = append(headers, kgo.RecordHeader{Key: "content-type", Value: []byte("application/avro")})
	lead.derive()
	value, err := s.encode(&s.event, &e.Payload)
	if err != nil {
		return "", nil, err
	}
	records := []*kgo.Record{{Topic: s.event.topic, Key: key, Value: value, Headers: headers, Timestamp: received}}
	if s.both {
		state := leadLatest{Event: e.Payload.Event, Lead: lead, Phones: lead.phones()}
		value, err := s.encode(&s.latest, &state)
		if err != nil {
			return "", nil, err
		}
		latest := kgo.Record{Topic: s.latest.topic, Key: key, Value: value, Headers: headers, Timestamp: updated}
		records = append(records, &latest)
	}
	return id, records, nil
}

// eventID is the id of the event, a UUID of version 8 made of the source's name and the body.
func eventID(body []byte) string {
	h := sha256.New()
	h.Write([]byte(source + "\x00"))
	h.Write(body)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:8], sum[:4])
	hex.Encode(text[9:13], sum[4:6])
	hex.Encode(text[14:18], sum[6:8])
	hex.Encode(text[19:23], sum[8:10])
	hex.Encode(text[24:], sum[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

func (s *service) encode(to *target, value any) ([]byte, error) {
	w := s.writers.Get().(*avro.Writer)
	defer s.writers.Put(w)
	w.Reset(nil)
	w.Error = nil
	w.Write(to.frame[:])
	w.WriteVal(to.schema, value)
	return slices.Clone(w.Buffer()), w.Error
}

// publish waits until every record is acknowledged, or one is not.
func (s *service) publish(records []*kgo.Record) error {
	var left atomic.Int32
	left.Store(int32(len(records)))
	done := make(chan error, len(records)+1)
	for _, record := range records {
		s.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			if last := left.Add(-1) == 0; last || err != nil {
				done <- err
			}
		})
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errors.New("no acknowledgement in time")
	}
}

func main() {
	// As much memory for the garbage collector as it likes: without these it is slower.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(256 << 20)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(os.Getenv("KAFKA")),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/"+source, newService(client))
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, mux))
}
