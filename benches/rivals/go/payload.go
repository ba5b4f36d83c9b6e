package main

import (
	"errors"
	"slices"
	"time"

	"github.com/bytedance/sonic"
)

// jsonText is JSON of open shape, kept as it was written.
type jsonText string

func (j *jsonText) UnmarshalJSON(b []byte) error { *j = jsonText(b); return nil }

// millis is a time in milliseconds since 1970, in JSON as RFC 3339.
type millis int64

func (m *millis) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return errors.New("expected a time in RFC 3339")
	}
	t, err := time.Parse(time.RFC3339Nano, string(b[1:len(b)-1]))
	*m = millis(t.UnixMilli())
	return err
}

type envelope struct {
	EventKey string       `json:"event_key"`
	Payload  stageChanged `json:"payload"`
}

type stageChanged struct {
	Event         event   `json:"-" avro:"event"`
	PreviousStage *stage  `json:"previous_stage" avro:"previous_stage"`
	CurrentStage  *stage  `json:"current_stage" avro:"current_stage"`
	Lead          lead    `json:"lead" avro:"lead"`
	Extra         *string `json:"-" avro:"extra"`
}

type leadLatest struct {
	Event  event     `avro:"event"`
	Lead   *lead     `avro:"lead"`
	Phones *[]string `avro:"phones"`
	Extra  *string   `avro:"extra"`
}

type event struct {
	ID         string  `avro:"id"`
	Type       string  `avro:"type"`
	Source     string  `avro:"source"`
	EntityID   string  `avro:"entity_id"`
	OccurredAt *millis `avro:"occurred_at"`
	ReceivedAt int64   `avro:"received_at"`
}

type lead struct {
	ID                    string      `json:"id" avro:"id"`
	Code                  *int64      `json:"code" avro:"code"`
	Title                 *string     `json:"title" avro:"title"`
	Status                *int64      `json:"status" avro:"status"`
	Value                 *float64    `json:"value" avro:"value"`
	Visibility            *int64      `json:"visibility" avro:"visibility"`
	NegotiationMode       *string     `json:"negotiation_mode" avro:"negotiation_mode"`
	QualityRating         *float64    `json:"quality_rating" avro:"quality_rating"`
	QualityReason         *string     `json:"quality_reason" avro:"quality_reason"`
	CreatedAt             *millis     `json:"created_at" avro:"created_at"`
	UpdatedAt             *millis     `json:"updated_at" avro:"updated_at"`
	ArchivedAt            *millis     `json:"archived_at" avro:"archived_at"`
	WonDate               *millis     `json:"won_date" avro:"won_date"`
	LostDate              *millis     `json:"lost_date" avro:"lost_date"`
	LostReasonDescription *string     `json:"lost_reason_description" avro:"lost_reason_description"`
	Responsible           *user       `json:"responsible" avro:"responsible"`
	CreatedBy             *user       `json:"created_by" avro:"created_by"`
	Stage                 *jsonText   `json:"stage" avro:"stage"`
	LeadSource            *jsonText   `json:"lead_source" avro:"lead_source"`
	MarketingLeadSource   *jsonText   `json:"marketing_lead_source" avro:"marketing_lead_source"`
	Participants          *[]jsonText `json:"participants" avro:"participants"`
	Organization          *jsonText   `json:"organization" avro:"organization"`
	CustomFields          *[]jsonText `json:"custom_fields" avro:"custom_fields"`
	Tags                  *[]tag      `json:"tags" avro:"tags"`
	Proposals             *[]jsonText `json:"proposals" avro:"proposals"`
	Followers             *[]user     `json:"followers" avro:"followers"`
	HasWhatsappChat       *bool       `json:"has_whatsapp_chat" avro:"has_whatsapp_chat"`
	WhatsappChats         *[]chat     `json:"whatsapp_chats" avro:"whatsapp_chats"`
	StageID               *string     `json:"-" avro:"stage_id"`
	StageName             *string     `json:"-" avro:"stage_name"`
	Extra                 *string     `json:"-" avro:"extra"`
}

// derive fills the fields that are not sent.
func (l *lead) derive() {
	if l.Stage != nil {
		var stage struct {
			ID   *string `json:"id"`
			Name *string `json:"name"`
		}
		if sonic.UnmarshalString(string(*l.Stage), &stage) == nil {
			l.StageID, l.StageName = stage.ID, stage.Name
		}
	}
	if l.WhatsappChats != nil {
		for i := range *l.WhatsappChats {
			chat := &(*l.WhatsappChats)[i]
			chat.PhoneE164 = chat.RawNumber
		}
	}
}

// phones are the distinct numbers of the lead's chats, nil when there are none.
func (l *lead) phones() *[]string {
	if l.WhatsappChats == nil {
		return nil
	}
	var phones []string
	for _, chat := range *l.WhatsappChats {
		if chat.RawNumber != nil && !slices.Contains(phones, *chat.RawNumber) {
			phones = append(phones, *chat.RawNumber)
		}
	}
	if phones == nil {
		return nil
	}
	return &phones
}

type user struct {
	ID     string  `json:"id" avro:"id"`
	Name   *string `json:"name" avro:"name"`
	Avatar *string `json:"avatar" avro:"avatar"`
	Extra  *string `json:"-" avro:"extra"`
}

type stage struct {
	ID       string    `json:"id" avro:"id"`
	Name     *string   `json:"name" avro:"name"`
	Pipeline *pipeline `json:"pipeline" avro:"pipeline"`
	Extra    *string   `json:"-" avro:"extra"`
}

type pipeline struct {
	ID    string  `json:"id" avro:"id"`
	Name  *string `json:"name" avro:"name"`
	Extra *string `json:"-" avro:"extra"`
}

type tag struct {
	ID    string  `json:"id" avro:"id"`
	Name  *string `json:"name" avro:"name"`
	Color *string `json:"color" avro:"color"`
	Extra *string `json:"-" avro:"extra"`
}

type chat struct {
	ID               string      `json:"id" avro:"id"`
	Status           *int64      `json:"status" avro:"status"`
	DisplayNumber    *string     `json:"display_number" avro:"display_number"`
	RawNumber        *string     `json:"raw_number" avro:"raw_number"`
	Person           *jsonText   `json:"person" avro:"person"`
	ResponsibleAgent *jsonText   `json:"responsible_agent" avro:"responsible_agent"`
	Participants     *[]jsonText `json:"participants" avro:"participants"`
	PhoneE164        *string     `json:"-" avro:"phone_e164"`
	Extra            *string     `json:"-" avro:"extra"`
}
