//! What samples say: plausible Portuguese business data, chosen by the field's name and by what it stands in.

use serde_json::{Value, json};

use super::by_name::{self, NamedText};
use crate::tools::random::Random;

const PEOPLE: [&str; 8] = [
    "Ana Souza",
    "Bruno Lima",
    "Carla Mendes",
    "Diego Araújo",
    "Elisa Rocha",
    "João Conceição",
    "Marina Teixeira",
    "Rafael Nogueira",
];
const COMPANIES: [&str; 5] =
    ["Aurora Eventos Ltda.", "Padaria São Bento", "Clínica Bem-Estar", "Construtora Horizonte", "Livraria Saber"];
const STAGES: [&str; 5] = ["Qualificação", "Proposta enviada", "Negociação", "Contrato em análise", "Fechamento"];
const TITLES: [&str; 5] = [
    "Evento corporativo – 120 convidados",
    "Renovação do plano anual",
    "Implantação do módulo fiscal",
    "Consultoria de vendas",
    "Locação de equipamentos",
];
const SENTENCES: [&str; 6] = [
    "Cliente pediu desconto de 10% para fechar ainda este mês.",
    "Bom dia! Podemos confirmar a reunião de quinta às 15h?",
    "Preço acima do orçamento aprovado.",
    "Obrigada, recebi a proposta e retorno até amanhã 😀",
    "Aguardando assinatura do contrato pela diretoria.",
    "Perfeito, pode enviar o boleto no meu e-mail.",
];

/// A name for what stands under `place`.
fn name(random: &mut Random, place: &str) -> &'static str {
    random.word(match place {
        _ if place.contains("stage") => &STAGES,
        _ if place.contains("tags") => &["VIP", "Renovação", "Indicação", "Urgente"],
        "pipeline" => &["Vendas", "Pós-venda", "Parcerias"],
        "loss_reason" => &["Preço", "Concorrência", "Sem resposta", "Fora do perfil"],
        "whatsapp" | "channel" => &["Atendimento", "Comercial", "Suporte"],
        "company" | "organization" | "customer" | "tenant" => &COMPANIES,
        _ if place.contains("field") => &["Data do evento", "Número de convidados", "Forma de pagamento"],
        _ if place.contains("source") => &["Instagram", "Indicação", "Google Ads", "Site"],
        _ => &PEOPLE,
    })
}

/// A text for the field `field` of what stands under `place`.
pub(super) fn text(random: &mut Random, place: &str, field: &str) -> String {
    let number = random.next() % 100_000_000;
    let words: &[&'static str] = match field {
        "email" => return format!("contato{}@exemplo.com.br", number % 1000),
        "avatar" | "profilePicUrl" | "mediaUrl" => return format!("https://cdn.exemplo.com.br/{number}.jpg"),
        "raw_number" | "phoneNumber" | "number" | "phone" => return format!("55119{number:08}"),
        "display_number" => return format!("+55 11 9{:04}-{:04}", number / 10_000, number % 10_000),
        "name" | "pushname" => return name(random, place).to_owned(),
        "field_name" => return name(random, field).to_owned(),
        "tenantName" => return name(random, "tenant").to_owned(),
        "messageId" => return format!("3EB0{number:016X}"),
        "protocol" => return format!("20260602{number:08}"),
        "token" => return format!("{:016x}", random.next()),
        "lid" => return format!("{number:014}@lid"),
        "color" => return format!("#{:06x}", number & 0x00FF_FFFF),
        // A picture of one pixel.
        "mediaBase64" => return "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7".to_owned(),
        "value" => return (number % 500).to_string(),
        "title" => &TITLES,
        "status" if place == "ticket" => &["open", "pending", "closed"],
        "status" | "previousStatus" if place == "channel" => &["CONNECTED", "DISCONNECTED", "OPENING"],
        "status" => &["received", "sended", "delivered", "read", "pending"],
        "type" if place == "channel" => &["whatsapp", "waba"],
        "type" => &["text", "image", "audio", "document"],
        "origin" => &["WHATSAPP", "WEB"],
        "sent_via" => &["CONTACT", "API", "MOBILE_DEVICE", "SYSTEM"],
        "mediaType" => &["chat", "image", "audio", "document"],
        "sendType" => &["manual", "bot", "API"],
        "negotiation_mode" => &["presencial", "online"],
        "recurrence" => &["MENSAL", "ANUAL"],
        "plano" => &["Básico", "Profissional", "Empresarial"],
        "meeting_provider" | "provider" => &["google", "zoom", "teams"],
        _ => match by_name::text(random, number, field) {
            Some(NamedText::Like(text)) => return text,
            Some(NamedText::LikeAName) => return name(random, place).to_owned(),
            None => &SENTENCES,
        },
    };
    random.word(words).to_owned()
}

/// JSON of open shape for the field `field`, as a row joined to it would come.
pub(super) fn open(random: &mut Random, field: &str, id: &str) -> Value {
    let amount = (random.next() % 1_000_000) as f64 / 100.0;
    match field {
        "apiConfig" => json!({ "externalKey": id }),
        "dataJson" => json!({ "key": { "id": format!("3EB0{:012X}", random.next() >> 16), "fromMe": false } }),
        "reactions" => {
            json!({ "emoji": random.word(&["👍", "❤️", "🙏"]), "from": format!("55119{:08}", random.next() % 100_000_000) })
        }
        "media" => {
            json!({ "url": format!("https://cdn.exemplo.com.br/{id}"), "mime_type": "image/jpeg", "size": 48_213 })
        }
        "totals" => json!({ "subtotal": amount, "discount": 0, "total": amount }),
        "items" | "proposals" => {
            json!({ "id": id, "description": random.word(&TITLES), "quantity": 1, "total": amount })
        }
        "custom_fields" => json!({ "custom_field_id": id, "name": name(random, "field"), "value": "120" }),
        "responses" => json!({ "question_id": id, "score": random.next() % 11, "comment": random.word(&SENTENCES) }),
        "deal" | "deals" | "crm_deal" | "crm_lead" => {
            json!({ "id": id, "title": random.word(&TITLES), "value": amount })
        }
        "stage_durations" => json!({ "stage_id": id, "name": random.word(&STAGES), "hours": random.next() % 200 }),
        _ => json!({ "id": id, "name": name(random, field) }),
    }
}
