//! How each proxy is started with its file from `deploy/`, and the differences between proxies.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    identity::IDENTITY,
    support::programs::program,
    world::{Ends, Patd, adapt},
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Nginx,
    Caddy,
    /// A Caddy that copies no identity header from patd's answer, as some releases do if they are empty.
    CaddyWithoutCopies,
    Traefik,
    Envoy,
    Apache,
}

impl Kind {
    /// The command that runs the proxy in the foreground, and the path of its access log.
    pub fn command(self, patd: &Patd, ends: &Ends) -> (Command, PathBuf) {
        let place = &patd.place;
        let output = place.path("proxy.out");
        let changes = |more: &[(&'static str, String)]| {
            let mut changes = vec![
                ("127.0.0.1:8000", ends.proxy.to_string()),
                ("127.0.0.1:8080", ends.patd.to_string()),
                ("127.0.0.1:3000", ends.application.to_string()),
                ("127.0.0.1:3001", ends.packages.to_string()),
            ];
            changes.extend_from_slice(more);
            changes
        };
        match self {
            Self::Nginx => {
                let log = place.path("application.log");
                let more = [("/var/log/nginx/application.log", log.display().to_string())];
                let site = adapt(place, "nginx.conf", &changes(&more));
                // Debian's nginx.conf has this around a site.
                let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let temporary = kinds.map(|kind| format!("{kind}_temp_path {kind};")).concat();
                let around = format!(
                    "daemon off; pid nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ {temporary} include {}; }}\n",
                    site.display()
                );
                place.write("main.conf", &around);
                let mut command = Command::new(program("nginx"));
                command.arg("-p").arg(place.path("")).args(["-e", "stderr", "-c"]).arg(place.path("main.conf"));
                (command, log)
            }
            Self::Caddy | Self::CaddyWithoutCopies => {
                let mut changes = changes(&[]);
                changes[0] = ("http_port 8000", format!("http_port {}", ends.proxy.port()));
                let copied = IDENTITY.join("\n\t\t\t\t");
                if self == Self::CaddyWithoutCopies {
                    changes.push((&copied, "X-None".to_owned()));
                }
                let file = adapt(place, "Caddyfile", &changes);
                let mut command = Command::new(program("caddy"));
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                command.env("XDG_DATA_HOME", place.path("tmp")).env("XDG_CONFIG_HOME", place.path("tmp"));
                (command, output)
            }
            Self::Traefik => {
                let changes = changes(&[]);
                let dynamic = adapt(place, "traefik/dynamic.yml", &changes[1..]);
                let more = ("/etc/traefik/dynamic.yml", dynamic.display().to_string());
                let file = adapt(place, "traefik/traefik.yml", &[changes[0].clone(), more]);
                let mut command = Command::new(program("traefik"));
                command.arg(format!("--configFile={}", file.display()));
                (command, output)
            }
            Self::Envoy => {
                let port = |port: u16| format!("port_value: {port} ");
                let changes = [
                    ("port_value: 8000 ", port(ends.proxy.port())),
                    ("port_value: 8080 ", port(ends.patd.port())),
                    ("port_value: 3000 ", port(ends.application.port())),
                    ("port_value: 3001 ", port(ends.packages.port())),
                    ("http://127.0.0.1:8080", format!("http://{}", ends.patd)),
                ];
                let mut command = Command::new(program("envoy"));
                command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning", "-c"]);
                command.arg(adapt(place, "envoy.yaml", &changes));
                // By default its log is written every ten seconds.
                command.args(["--file-flush-interval-msec", "50"]);
                (command, output)
            }
            Self::Apache => {
                let site = {
                    let lua = adapt(place, "apache/ambiguous.lua", &[]);
                    adapt(
                        place,
                        "apache/apache.conf",
                        &changes(&[("/etc/apache2/ambiguous.lua", lua.display().to_string())]),
                    )
                };
                let modules = fs::canonicalize("/usr/lib/apache2/modules").unwrap_or_default();
                // Debian's apache2.conf has this around a site, with the modules that the comment in the file names.
                let names = "mpm_event authz_core authz_user authn_core headers lua macro proxy proxy_http oauth2";
                let loads: String = names
                    .split(' ')
                    .map(|name| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display()))
                    .collect();
                let around = format!(
                    "{loads}ServerName localhost\nServerRoot {0}\nDefaultRuntimeDir {0}\nPidFile apache.pid\n\
                     ErrorLog /dev/stderr\nUser www-data\nGroup www-data\nInclude {1}\n",
                    place.path("").display(),
                    site.display()
                );
                place.write("main.conf", &around);
                let introspector = patd.token(&["tokens:introspect"]).text;
                let mut command = Command::new(program("apache2"));
                command.args(["-D", "FOREGROUND", "-f"]).arg(place.path("main.conf"));
                command.env("APACHE_LOG_DIR", place.path(""));
                command.env("PATD_INTROSPECTION_TOKEN", introspector.rsplit('|').next().unwrap());
                (command, place.path("application.log"))
            }
        }
    }
}
