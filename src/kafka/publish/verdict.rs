//! What Kafka's errors mean for a record, in one table.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// What to do with a record that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another time it may work: the record waits, and those of its topic behind it.
    Wait,
    /// This record never will; a smaller one may. Its topic goes on.
    TooLarge,
    /// This record never will. Its topic goes on.
    Rejected,
    /// Another record of its batch was refused. Alone it may be taken.
    Neighbour,
    /// This producer is done for; the record waits for a new one.
    Fatal,
}

impl Verdict {
    /// Whether it is about a record, so that the others of its batch may be taken without it.
    pub(super) fn is_about_a_record(self) -> bool {
        match self {
            Verdict::TooLarge | Verdict::Rejected | Verdict::Neighbour => true,
            Verdict::Wait | Verdict::Fatal => false,
        }
    }
}

/// Everything that is not [`Verdict::Wait`]. What librdkafka or Kafka calls otherwise (down, timed out, not authorised,
/// unknown topic, too few replicas, and what they will think of next) can be mended without the record being changed.
const NOT_TO_WAIT_FOR: [(Code, Verdict); 17] = [
    (Code::MessageSizeTooLarge, Verdict::TooLarge),
    (Code::InvalidMessageSize, Verdict::TooLarge),
    (Code::MessageBatchTooLarge, Verdict::TooLarge),
    (Code::InvalidRecord, Verdict::Rejected),
    // Of a record that was sent alone, `clock` judges further.
    (Code::InvalidTimestamp, Verdict::Rejected),
    (Code::InvalidDifferentRecord, Verdict::Neighbour),
    (Code::PolicyViolation, Verdict::Rejected),
    (Code::UnsupportedForMessageFormat, Verdict::Rejected),
    (Code::Fatal, Verdict::Fatal),
    (Code::GaplessGuarantee, Verdict::Fatal),
    (Code::Fenced, Verdict::Fatal),
    (Code::ProducerFenced, Verdict::Fatal),
    (Code::OutOfOrderSequenceNumber, Verdict::Fatal),
    (Code::InvalidProducerEpoch, Verdict::Fatal),
    (Code::InvalidProducerIdMapping, Verdict::Fatal),
    (Code::UnknownProducerId, Verdict::Fatal),
    (Code::InvalidTransactionalState, Verdict::Fatal),
];

/// What `error` means for the record it was given for.
pub(super) fn of(error: &KafkaError) -> Verdict {
    let Some(code) = error.rdkafka_error_code() else { return Verdict::Wait };
    NOT_TO_WAIT_FOR.iter().find(|(listed, _)| *listed == code).map_or(Verdict::Wait, |&(_, verdict)| verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_waits_what_cannot_is_a_dead_letter_and_a_broken_producer_is_replaced() {
        for (code, verdict) in [
            (Code::MessageTimedOut, Verdict::Wait),
            (Code::PurgeQueue, Verdict::Wait),
            (Code::PurgeInflight, Verdict::Wait),
            (Code::QueueFull, Verdict::Wait),
            (Code::AllBrokersDown, Verdict::Wait),
            (Code::BrokerTransportFailure, Verdict::Wait),
            (Code::NotEnoughReplicas, Verdict::Wait),
            (Code::NotEnoughReplicasAfterAppend, Verdict::Wait),
            (Code::NotLeaderForPartition, Verdict::Wait),
            (Code::LeaderNotAvailable, Verdict::Wait),
            (Code::KafkaStorageError, Verdict::Wait),
            (Code::TopicAuthorizationFailed, Verdict::Wait),
            (Code::ClusterAuthorizationFailed, Verdict::Wait),
            (Code::SaslAuthenticationFailed, Verdict::Wait),
            (Code::Authentication, Verdict::Wait),
            (Code::SSL, Verdict::Wait),
            (Code::UnknownTopic, Verdict::Wait),
            (Code::UnknownTopicOrPartition, Verdict::Wait),
            (Code::UnknownTopicId, Verdict::Wait),
            (Code::UnknownPartition, Verdict::Wait),
            (Code::ThrottlingQuotaExceeded, Verdict::Wait),
            // Damaged on the way; the next time it is not.
            (Code::InvalidMessage, Verdict::Wait),
            (Code::UnsupportedCompressionType, Verdict::Wait),
            (Code::MessageSizeTooLarge, Verdict::TooLarge),
            (Code::MessageBatchTooLarge, Verdict::TooLarge),
            (Code::InvalidRecord, Verdict::Rejected),
            (Code::InvalidTimestamp, Verdict::Rejected),
            (Code::InvalidDifferentRecord, Verdict::Neighbour),
            (Code::Fenced, Verdict::Fatal),
            (Code::OutOfOrderSequenceNumber, Verdict::Fatal),
            (Code::UnknownProducerId, Verdict::Fatal),
        ] {
            assert_eq!(of(&KafkaError::MessageProduction(code)), verdict, "{code:?}");
        }
        assert_eq!(of(&KafkaError::Canceled), Verdict::Wait);
    }
}
