//! The port for probes and metrics, which any client can reach that the network lets through.

use crate::ops::health::{Health, Liveness, Readiness, router};

use super::*;

/// Half a request.
const HALF: &[u8] = b"GET /livez HTTP/1.1\r\nHost: re";

struct Probes {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    ending: Ending,
    serving: JoinHandle<io::Result<()>>,
}

impl Probes {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, ending) = (Arc::new(Metrics::new()), Ending::default());
        let health = Health {
            readiness: Readiness::new(),
            liveness: Liveness::new(),
            metrics: Arc::clone(&metrics),
        };
        let serving = serve(
            listener,
            Served::Probes,
            router(health),
            limits,
            Arc::clone(&metrics),
            ending.clone(),
        );
        Self {
            address,
            metrics,
            ending,
            serving: tokio::spawn(serving),
        }
    }

    async fn says(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = within(TcpStream::connect(self.address)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// What a kubelet does: returns how the answer begins.
    async fn probe(&self) -> String {
        let request = b"GET /livez HTTP/1.1\r\nHost: reroll\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let mut stream = self.says(request).await;
        within(stream.read_to_string(&mut answer)).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn open(&self) -> u64 {
        shown(&self.metrics, "reroll_probe_connections ")
    }

    fn cut(&self) -> u64 {
        let name = "reroll_connections_cut_total{port=\"probes\"} ";
        shown(&self.metrics, name)
    }
}

#[tokio::test]
async fn half_requests_keep_no_probe_out() {
    const CROWD: usize = 4000;
    let limits = Limits {
        header: DEADLINE * 2,
        ..Limits::of_probes()
    };
    let most = limits.connections as u64;
    let probes = Probes::start(limits).await;
    let mut crowd = Vec::new();
    let (mut open, mut answered) = (0, 0);
    for number in 1..=CROWD {
        crowd.push(probes.says(HALF).await);
        open = open.max(probes.open());
        if number.is_multiple_of(100) {
            let answer = probes.probe().await;
            answered += usize::from(answer == "HTTP/1.1 200 OK");
        }
    }
    assert_eq!(answered, CROWD / 100);
    // The last probe has left its place.
    until(async || probes.open() == most - 1).await;
    assert!(probes.cut() >= CROWD as u64 - most, "{}", probes.cut());
    assert!(open <= most, "{open}");
    probes.ending.shutdown.cancel();
    within(probes.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_gets_answers_is_not_cut_for_who_says_nothing() {
    let limits = Limits {
        connections: 4,
        header: DEADLINE * 2,
        ..Limits::of_probes()
    };
    let probes = Probes::start(limits).await;
    let stream = within(TcpStream::connect(probes.address)).await.unwrap();
    let (mut scraper, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut silent = Vec::new();
    for _ in 0..4 {
        for _ in 0..4 {
            silent.push(probes.says(HALF).await);
        }
        let answer = within(scraper.send_request(request("GET", "/metrics", Body::empty())));
        assert!(text(answer.await.unwrap()).await.ends_with("# EOF\n"));
    }
    until(async || probes.cut() == 13).await;
    probes.ending.shutdown.cancel();
    within(connection).await.unwrap().unwrap();
    within(probes.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_holds_on_does_not_hold_up_the_end() {
    let drain = Duration::from_millis(50);
    let limits = Limits {
        drain,
        ..Limits::of_probes()
    };
    let probes = Probes::start(limits).await;
    let _half = probes.says(HALF).await;
    assert_eq!(probes.probe().await, "HTTP/1.1 200 OK");
    probes.ending.shutdown.cancel();
    within(probes.serving).await.unwrap().unwrap();
    assert_eq!(
        probes
            .metrics
            .encode()
            .unwrap()
            .matches("probe_connections 0")
            .count(),
        1
    );
}
