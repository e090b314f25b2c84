//! A job through beanstalkc: put, reserved, deleted. Arguments: host and port.

use std::time::Duration;

use beanstalkc::Beanstalkc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut client = Beanstalkc::new().host(&arguments[1]).port(arguments[2].parse().unwrap()).connect().unwrap();
    client.use_tube("beanstalkc").unwrap();
    client.watch("beanstalkc").unwrap();
    let body = b"a job\r\n\0\xff".repeat(1000);
    let put = client.put_default(&body).unwrap();
    let mut job = client.reserve_with_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!((job.id(), job.body()), (put, body.as_slice()));
    job.delete().unwrap();
    println!("ok");
}
