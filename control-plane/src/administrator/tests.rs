use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use trellis_model::load::{Inputs, Source, load};
use trellis_policy::compile;

use super::AdministratorKey;
use crate::{
    iam::Iam,
    lattice::tests::{ONE, World},
    neighbor::tests::Visitor,
    query::Parameters,
    realm::RANDOM_BYTES,
};

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn the_first_user_has_one_key_and_a_new_one_replaces_it() {
    let world = World::new();
    assert!(!world.plane.has_users());
    let account = ONE.parse().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let text = format!("account: \"{ONE}\"\nregion: us-west-2\n");
    let source = Source {
        path: "a.yaml".into(),
        text: Ok(text),
    };
    let files = Arc::new(load(&[source], &NoFiles).unwrap().config);
    for byte in [7, 8] {
        let key = AdministratorKey::from_random(&[byte; RANDOM_BYTES]);
        assert!(key.id.starts_with("AKIA") && key.id.len() == 20);
        assert_eq!(key.secret.expose().len(), 40);
        assert!(!format!("{key:?}").contains(key.secret.expose()));
        world
            .plane
            .put_administrator(&account, &key, now, &|| 4)
            .unwrap();
        assert!(world.plane.has_users());
        let config = world.plane.configuration(&files, now);
        let [user] = config.users.as_slice() else {
            panic!("{:?}", config.users);
        };
        assert_eq!(
            user.arn.as_str(),
            format!("arn:aws:iam::{ONE}:user/administrator")
        );
        let ids: Vec<&str> = user.access_keys.iter().map(|key| &*key.id).collect();
        assert_eq!(ids, [key.id.as_str()]);
        assert_eq!(user.access_keys[0].secret, key.secret);
        compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
    }
    let listed = Visitor::of(ONE)
        .ask::<Iam>(&world, "ListUsers", &Parameters::default())
        .unwrap();
    assert!(
        listed.contains("<UserName>administrator</UserName>"),
        "{listed}"
    );
}
