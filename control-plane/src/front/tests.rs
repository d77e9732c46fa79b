use http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION};

use super::scope_service;
use crate::call::Call;

fn scoped(authorization: Option<&str>, query: Option<&str>) -> Option<String> {
    let mut headers = HeaderMap::new();
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(text).unwrap());
    }
    scope_service(&Call {
        method: Method::GET,
        path: "/".into(),
        query: query.map(Into::into),
        headers,
        body: bytes::Bytes::new(),
        source: [127, 0, 0, 1].into(),
        at: std::time::UNIX_EPOCH,
        id: "id".into(),
    })
}

#[test]
fn the_scope_of_a_signature_names_the_service() {
    let header = |credential: &str| {
        scoped(
            Some(&format!(
                "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
            )),
            None,
        )
    };
    let lattice = Some("vpc-lattice".to_owned());
    assert_eq!(
        header("AKIA/20261125/us-west-2/vpc-lattice/aws4_request"),
        lattice
    );
    assert_eq!(header("AKIA/20261125/vpc-lattice/aws4_request"), lattice);
    assert_eq!(header("AKIA"), None);
    let query = "a=b&X-Amz-Credential=AKIA%2F20261125%2Fus-west-2%2Fsts%2Faws4_request&c=d";
    assert_eq!(scoped(None, Some(query)), Some("sts".to_owned()));
    assert_eq!(scoped(Some("Bearer x"), None), None);
    assert_eq!(scoped(None, None), None);
}
