//! `pool.get().await` and drop on a current-thread runtime. Argument: seconds. Prints `deadpool <version> <ns per cycle>`.
use deadpool::managed::{Manager, Metrics, Pool, RecycleResult};
use std::hint::black_box;
use std::time::{Duration, Instant};

struct Connection(u64);
struct Stub;

impl Manager for Stub {
    type Type = Connection;
    type Error = std::convert::Infallible;
    async fn create(&self) -> Result<Connection, Self::Error> {
        Ok(Connection(1))
    }
    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<Self::Error> {
        Ok(())
    }
}

async fn cycles(pool: &Pool<Stub>, n: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..n {
        let lease = pool.get().await.unwrap();
        black_box(lease.0);
    }
    began.elapsed()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seconds: f64 = std::env::args().nth(1).map_or(1.0, |s| s.parse().unwrap());
    let pool = Pool::builder(Stub).max_size(8).build().unwrap();
    let batch = 100_000;
    cycles(&pool, batch).await;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut all = vec![];
    while all.len() < 5 || Instant::now() < end {
        all.push(cycles(&pool, batch).await.as_nanos() as f64 / batch as f64);
    }
    all.sort_by(f64::total_cmp);
    println!("deadpool {} {:.2}", env!("DEADPOOL_VERSION"), all[all.len() / 2]);
}
