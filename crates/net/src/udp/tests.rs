//! The socket against the kernel, on loopback.

use std::time::Duration;

use stun::IcmpReason;
use tokio::time::timeout;

use super::*;

fn loopback() -> Udp {
    Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// An address at which no socket listens any more.
fn closed() -> SocketAddr {
    loopback().local_addr()
}

async fn receive(udp: &Udp, buffer: &mut [u8]) -> Received {
    let received = timeout(Duration::from_secs(5), udp.recv(buffer));
    received.await.expect("nothing came").unwrap()
}

#[tokio::test]
async fn a_datagram_comes_with_its_ttl() {
    let (a, b) = (loopback(), loopback());
    a.send_to(b"hello", b.local_addr(), Some(7)).unwrap();
    let mut buffer = [0; 64];
    let expected = Received::Datagram {
        length: 5,
        from: a.local_addr(),
        at: None,
        ttl: Some(7),
    };
    assert_eq!(receive(&b, &mut buffer).await, expected);
    assert_eq!(&buffer[..5], b"hello");
}

#[tokio::test]
async fn a_listening_socket_can_answer_from_the_address_that_was_asked() {
    for (all, own) in [
        ("0.0.0.0:0", vec!["127.0.0.2", "127.0.0.3"]),
        ("[::]:0", vec!["::1", "127.0.0.2", "127.0.0.3"]),
    ] {
        let server = Udp::listen(all.parse().unwrap()).unwrap();
        for own in own {
            let own: IpAddr = own.parse().unwrap();
            let asked = SocketAddr::new(own, server.local_addr().port());
            let client = Udp::bind_for(asked).unwrap();
            client.send_to(b"request", asked, None).unwrap();
            let mut buffer = [0; 64];
            let received = receive(&server, &mut buffer).await;
            let Received::Datagram { from, at, .. } = received else {
                panic!("{received:?}");
            };
            assert_eq!(at, Some(own));
            server.send_from(own, b"answer", from).unwrap();
            let received = receive(&client, &mut buffer).await;
            assert!(matches!(received, Received::Datagram { from, .. } if from == asked));
        }
    }
}

#[tokio::test]
async fn a_socket_of_both_families_has_ipv4_clients_at_ipv4_addresses() {
    let server = Udp::listen("[::]:0".parse().unwrap()).unwrap();
    let v4 = SocketAddr::from(([127, 0, 0, 1], server.local_addr().port()));
    let client = Udp::bind_for(v4).unwrap();
    client.send_to(b"request", v4, None).unwrap();
    let received = receive(&server, &mut [0; 64]).await;
    let expected = SocketAddr::from(([127, 0, 0, 1], client.local_addr().port()));
    assert!(matches!(received, Received::Datagram { from, .. } if from == expected));
}

#[tokio::test]
async fn a_socket_of_one_ipv6_address_takes_no_ipv4() {
    let server = Udp::listen("[::1]:0".parse().unwrap()).unwrap();
    let v4 = SocketAddr::from(([127, 0, 0, 1], server.local_addr().port()));
    let client = Udp::bind_for(v4).unwrap();
    client.send_to(b"request", v4, None).unwrap();
    let received = receive(&client, &mut [0; 64]).await;
    assert!(matches!(received, Received::Icmp { to, .. } if to == v4));
}

#[tokio::test]
async fn an_error_about_one_datagram_does_not_lose_the_next() {
    let (a, b) = (loopback(), loopback());
    a.send_to(b"lost", closed(), None).unwrap();
    // On loopback the error is there before the call returns.
    a.send_to(b"hello", b.local_addr(), None).unwrap();
    let received = receive(&b, &mut [0; 64]).await;
    assert!(matches!(received, Received::Datagram { length: 5, .. }));
}

#[tokio::test]
async fn an_icmp_error_is_received_once_with_its_sender_and_the_quoted_payload() {
    let v4 = "127.0.0.1:0".parse().unwrap();
    let both = "[::]:0".parse().unwrap();
    for a in [
        Udp::bind(v4).unwrap(),
        Udp::listen(v4).unwrap(),
        Udp::listen(both).unwrap(),
    ] {
        let gone = closed();
        a.send_to(b"lost", gone, None).unwrap();
        let mut buffer = [0; 64];
        let received = receive(&a, &mut buffer).await;
        let Input::Icmp(error) = received.input(0, &buffer) else {
            panic!("{received:?}");
        };
        assert_eq!((error.to, error.offender), (gone, gone.ip()));
        assert_eq!(error.reason(), Some(IcmpReason::PortUnreachable));
        assert_eq!(error.quoted, b"lost");
        let more = a.try_recv(Queue::Errors, &mut buffer);
        assert_eq!(more.unwrap_err().kind(), ErrorKind::WouldBlock);

        let b = loopback();
        a.send_to(b"lost again", gone, None).unwrap();
        a.send_to(b"hello", b.local_addr(), None).unwrap();
        receive(&b, &mut buffer).await;
    }
}
