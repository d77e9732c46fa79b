//! HPACK: the examples of RFC 7541 appendix C, and blocks that cannot be decompressed.

use super::super::{hpack::*, huffman};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Result<String, Undecodable> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        fields.push(format!("{}={}", text(name), text(value)));
    })?;
    Ok(fields.join(" "))
}

/// Each row is the next block of one connection.
#[track_caller]
fn check(blocks: &[(&str, &str)]) {
    let mut decoder = Decoder::default();
    for (hex, fields) in blocks {
        assert_eq!(
            read(&mut decoder, &bytes(hex)).as_deref(),
            Ok(*fields),
            "{hex}"
        );
    }
}

#[test]
fn single_fields_are_read_as_in_appendix_c_2() {
    check(&[(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        "custom-key=custom-header",
    )]);
    check(&[("040c 2f73 616d 706c 652f 7061 7468", ":path=/sample/path")]);
    check(&[(
        "1008 7061 7373 776f 7264 0673 6563 7265 74",
        "password=secret",
    )]);
    check(&[("82", ":method=GET")]);
}

const REQUESTS: [&str; 3] = [
    ":method=GET :scheme=http :path=/ :authority=www.example.com",
    ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache",
    ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value",
];

#[test]
fn three_requests_are_read_as_in_appendix_c_3() {
    check(&[
        (
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            REQUESTS[0],
        ),
        ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1]),
        (
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            REQUESTS[2],
        ),
    ]);
}

#[test]
fn three_requests_in_huffmans_code_are_read_as_in_appendix_c_4() {
    check(&[
        ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0]),
        ("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1]),
        (
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            REQUESTS[2],
        ),
    ]);
}

#[test]
fn the_table_forgets_the_oldest_entries_first() {
    let entry = |name: u8| [&[0x40, 1, name, 0x7f, 0xe9, 0x06][..], &[b'v'; 1000]].concat();
    let mut decoder = Decoder::default();
    // Each counts 1033: three fit, the fourth pushes the first out.
    for name in *b"abcd" {
        read(&mut decoder, &entry(name)).unwrap();
    }
    assert!(read(&mut decoder, &[0xc0]).unwrap().starts_with("b="));
    assert_eq!(read(&mut decoder, &[0xc1]), Err(Undecodable));
    // A smaller table, an empty one, and again the largest.
    assert!(
        read(&mut decoder, &[0x3f, 0xf1, 0x0f, 0xbe])
            .unwrap()
            .starts_with("d=")
    );
    assert_eq!(
        read(&mut decoder, &[0x20, 0x3f, 0xe1, 0x1f, 0xbe]),
        Err(Undecodable)
    );
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::default();
    read(&mut decoder, b"\x40\x01a\x01b").unwrap();
    read(&mut decoder, b"\xbe").unwrap();
    let huge = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1f][..], &[b'v'; 4128]].concat();
    read(&mut decoder, &huge).unwrap();
    assert_eq!(read(&mut decoder, b"\xbe"), Err(Undecodable));
}

#[test]
fn blocks_that_cannot_be_decompressed_are_refused() {
    for hex in [
        "80",                                 // index 0
        "be",                                 // an empty dynamic table
        "ff 09",                              // beyond it
        "7f 2a 04 74 65 73 74",               // the same for a name
        "40",                                 // no name
        "40 01",                              // name cut short
        "40 01 61",                           // no value
        "40 01 61 02 62",                     // value cut short
        "82 3f 01",                           // new size behind a field
        "3f e2 1f",                           // new size of 4097
        "ff ff ff ff ff ff 0f",               // index of more than 28 bits
        "ff 80 80 80 80 00",                  // the same, of zeros
        "40 7f ff ff ff ff 7f 61",            // length of more than 28 bits
        "00 85 f2b24a84ff 84 49509fff",       // padding beyond seven bits
        "00 85 f2b24a84ff 83 495090",         // padding of zeros
        "00 85 f2b24a84ff 87 4951fffffffa7f", // EOS
        "00 01 61 84 ffffffff",               // EOS alone
    ] {
        assert_eq!(
            read(&mut Decoder::default(), &bytes(hex)),
            Err(Undecodable),
            "{hex}"
        );
    }
}

#[test]
fn every_byte_is_read_in_huffmans_code() {
    let mut all: Vec<u8> = (0..=255).collect();
    all.extend((0..=255).rev());
    let (mut bits, mut coded) = (Vec::new(), Vec::new());
    for byte in &all {
        let (code, length) = huffman::CODES[usize::from(*byte)];
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    for eight in bits.chunks(8) {
        coded.push(eight.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    }
    let mut text = Vec::new();
    assert_eq!(huffman::decode(&coded, &mut text), Some(()));
    assert_eq!(text, all);
}

#[test]
fn what_is_spelled_out_is_read_back_and_changes_no_table() {
    let mut decoder = Decoder::default();
    for length in [
        0, 1, 126, 127, 128, 254, 255, 16_383, 16_510, 16_511, 100_000,
    ] {
        let (name, value) = (vec![b'n'; length + 1], vec![b'v'; length]);
        let mut block = Vec::new();
        spell(&name, &value, &mut block);
        let mut seen = 0;
        let read = decoder.decode(&block, |got_name, got_value| {
            assert_eq!((got_name, got_value), (&*name, &*value));
            seen += 1;
        });
        assert_eq!((read, seen), (Ok(()), 1));
    }
    assert_eq!(read(&mut decoder, b"\xbe"), Err(Undecodable));
}
