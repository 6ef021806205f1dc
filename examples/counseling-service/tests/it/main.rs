//! This service alone, through gRPC, on real databases.
mod bench; // the service as a test has it

use contracts::v1::service::{CreateCounselRequest, CreateMessageRequest, FindCounselorsRequest};
use std::process::ExitCode;
use test_support::Trials;

fn main() -> ExitCode {
    Trials::new()
        .test("thin", async || {
            let bench = bench::Bench::in_file().await?;
            let found = bench.counselors().find_counselors(FindCounselorsRequest::default()).await?.into_inner();
            println!("{found:#?}");
            let kim = bench::person(1);
            let opened = bench
                .counsels()
                .create_counsel(CreateCounselRequest {
                    user_id: kim.to_string(),
                    counselor_id: found.counselors[0].id.clone(),
                    ..Default::default()
                })
                .await?
                .into_inner();
            println!("{opened:#?}");
            let said = bench
                .counsels()
                .create_message(bench::by(
                    kim,
                    CreateMessageRequest {
                        counsel_id: opened.counsel.unwrap().id,
                        message: "요즘 잠이 안 와요".into(),
                        exchange_id: None,
                    },
                ))
                .await?
                .into_inner();
            println!("{said:#?}");
            anyhow::Ok(())
        })
        .run()
}
