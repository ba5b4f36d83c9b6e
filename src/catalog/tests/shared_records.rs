//! Records that serve several event types.

use super::*;

#[test]
fn one_record_may_serve_several_types() {
    let sent = r#"[types]
"order.sent" = { record = "OrderPaid", topic = "order", key = "order.id", time = [] }"#;
    let dir = vendor(&[("profile.toml", &swap("[types]", sent))]);
    let catalog = Catalog::load(Some(dir.path())).unwrap();
    let types = &catalog.profiles["loja"].types;
    assert_eq!(types["order.sent"].schema.name, types["order.paid"].schema.name);
    assert_eq!((types["order.sent"].times.len(), types["order.paid"].times.len()), (0, 1));
}
