//! Resources that are kept beside those of the files: the seam of the control API.

use std::sync::{Arc, Mutex};

use serde_json::json;
use trellis_gateway::server::Overlay;
use trellis_model::{
    config::{Action, AuthType, Config, PolicyLanguage, PolicyText},
    problem::{Place, Problems},
};
use trellis_tests::{Request, Setup, Target, Via};

/// What is changed of the files' configuration.
type Edit = dyn Fn(&mut Config) + Send;

/// Edits the configuration of the files as it is told.
struct Editor(Mutex<Box<Edit>>);

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Editor")
    }
}

impl Editor {
    fn idle() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Box::new(|_| {}))))
    }

    fn edit(&self, edit: impl Fn(&mut Config) + Send + 'static) {
        *self.0.lock().unwrap() = Box::new(edit);
    }
}

impl Overlay for Editor {
    fn over(&self, files: &Arc<Config>) -> Result<Arc<Config>, Problems> {
        let mut config = Config::clone(files);
        (self.0.lock().unwrap())(&mut config);
        Ok(Arc::new(config))
    }
}

/// Every request is answered with this status.
fn answer(config: &mut Config, status: u16) {
    for service in &mut config.services {
        for listener in &mut Arc::make_mut(service).listeners {
            listener.default_action = Action::FixedResponse(status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_beside_the_files_takes_effect_and_survives_a_change_of_the_files() {
    let target = Target::named("one").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut kept = gateway.connect(Via::Http1, "orders.test").await;
    assert_eq!(
        kept.send(Request::get("orders.test", "/")).await.status,
        200
    );
    let editor = Editor::idle();
    assert_eq!(gateway.attach(Arc::clone(&editor) as _).unwrap(), 2);
    assert_eq!(gateway.get("orders.test", "/").await.status, 200);

    editor.edit(|config| answer(config, 500));
    assert_eq!(gateway.follow().unwrap(), 3);
    for answer in [
        gateway.get("orders.test", "/").await,
        kept.send(Request::get("orders.test", "/")).await,
    ] {
        assert_eq!(answer.status, 500);
        gateway.record_of(&answer).await;
    }

    // The files change, and what is kept beside them still counts.
    gateway.reload(|setup| setup.set("services.orders.tags", json!({"tier": "1"})));
    let answer = gateway.get("orders.test", "/").await;
    assert_eq!(answer.status, 500);
    gateway.record_of(&answer).await;

    editor.edit(|_| {});
    gateway.follow().unwrap();
    assert_eq!(gateway.get("orders.test", "/").await.status, 200);
    assert_eq!(
        kept.send(Request::get("orders.test", "/")).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_refused_changes_nothing_and_whoever_waits_is_told() {
    let target = Target::named("one").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let editor = Editor::idle();
    gateway.attach(Arc::clone(&editor) as _).unwrap();
    editor.edit(|config| {
        let service = Arc::make_mut(&mut config.services[0]);
        service.auth_type = AuthType::AwsIam;
        service.auth_policy = Some(PolicyText {
            language: PolicyLanguage::Iam,
            text: "{".into(),
            place: Place::default(),
        });
    });
    let waits = gateway.bell().follow();
    let problems = gateway.follow().unwrap_err();
    assert_eq!(*waits.await.unwrap().unwrap_err(), problems);
    gateway.expect_log("configuration rejected").await;
    for _ in problems.iter() {
        gateway.expect_log("configuration problem=").await;
    }
    let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
    gateway.expect_metric(rejected, 1).await;
    assert_eq!(gateway.get("orders.test", "/").await.status, 200);

    editor.edit(|config| answer(config, 404));
    let waits = [gateway.bell().follow(), gateway.bell().follow()];
    let generation = gateway.follow().unwrap();
    for one in waits {
        assert_eq!(one.await.unwrap().unwrap(), generation);
    }
    assert_eq!(gateway.get("orders.test", "/").await.status, 404);
}
