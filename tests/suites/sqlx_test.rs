//! What the tests of the crate sqlx need of a crate that is not published: connections, and tests
//! of types.
use sqlx::{Connection, Database};

/// Nothing to set up.
pub fn setup_if_needed() {}

/// A connection to the server under test.
pub async fn new<DB: Database>() -> sqlx::Result<DB::Connection> {
    DB::Connection::connect(&std::env::var("DATABASE_URL").expect("DATABASE_URL")).await
}

/// One test a type: each value is sent and read back in a prepared statement, and read as text.
#[macro_export]
macro_rules! test_type {
    ($name:ident($db:ident, $($rest:tt)+)) => { $crate::test_type!($name<$name>($db, $($rest)+)); };
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_type!($name<$ty>($db, "SELECT {0} <=> ?, {0}, ?", $($text == $value),+));
    };
    ($name:ident<$ty:ty>($db:ident, $sql:literal, $($text:literal == $value:expr),+ $(,)?)) => {
        #[sqlx_macros::test]
        async fn $name() -> anyhow::Result<()> {
            use sqlx::Row as _;
            let mut conn = sqlx_test::new::<$db>().await?;
            $({
                let sql = $sql.replace("{0}", $text);
                let row = sqlx::query(&sql).bind($value).bind($value).fetch_one(&mut conn).await?;
                assert!(row.try_get::<i32, _>(0)? != 0, "{}", $text);
                assert_eq!(row.try_get::<$ty, _>(1)?, $value);
                assert_eq!(row.try_get::<$ty, _>(2)?, $value);
                let sql = format!("SELECT {}", $text);
                let row = sqlx::raw_sql(&sql).fetch_one(&mut conn).await?;
                assert_eq!(row.try_get::<$ty, _>(0)?, $value);
            })+
            Ok(())
        }
    };
}
