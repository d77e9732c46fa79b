use super::{Position, locate};

const ZONE: &str = "vpc-lattice-svcs.us-west-2.on.aws";
const VISIBLE: [&str; 3] = [
    "orders-0a.7d67968.vpc-lattice-svcs.us-west-2.on.aws",
    "orders.shop.test",
    "eu.orders.shop.test",
];

fn check(name: &str, expected: Position<'_>) {
    let found = locate(name, ZONE, "7d67968", |name| VISIBLE.contains(&name));
    assert_eq!(found, expected, "{name}");
}

#[test]
fn names_find_their_zone() {
    check(VISIBLE[0], Position::Service(ZONE));
    check(ZONE, Position::Empty(ZONE));
    check(&format!("7d67968.{ZONE}"), Position::Empty(ZONE));
    check(&format!("pay-0b.7d67968.{ZONE}"), Position::Missing(ZONE));
    check(&format!("x.{}", VISIBLE[0]), Position::Missing(ZONE));
    check(&format!("orders-0a.{ZONE}"), Position::Missing(ZONE));
    check(&format!(".{ZONE}"), Position::Missing(ZONE));
    check(&format!("x{ZONE}"), Position::Foreign);
    check("us-west-2.on.aws", Position::Foreign);

    check("orders.shop.test", Position::Service("orders.shop.test"));
    check(
        "eu.orders.shop.test",
        Position::Service("eu.orders.shop.test"),
    );
    check("us.orders.shop.test", Position::Missing("orders.shop.test"));
    check(
        "a.eu.orders.shop.test",
        Position::Missing("eu.orders.shop.test"),
    );
    check("shop.test", Position::Foreign);
    check("pay.shop.test", Position::Foreign);
    check("xorders.shop.test", Position::Foreign);
    check("test", Position::Foreign);
    check("", Position::Foreign);
}
