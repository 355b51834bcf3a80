//! The volumes of a pod, as a kubelet writes them: files behind a `..data` link, which moves when the source changes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{
        ConfigMap, Pod, ProjectedVolumeSource, Secret, ServiceAccount,
        ServiceAccountTokenProjection, Volume,
    },
};
use kube::{Api, Client, ResourceExt, api::PostParams};

type Files = BTreeMap<String, Vec<u8>>;

/// The volumes of one pod, in a folder of their own.
pub struct Volumes {
    client: Client,
    pod: Pod,
    folder: PathBuf,
    /// Made once: its lifetime is longer than that of a test.
    token: Option<String>,
}

impl Volumes {
    pub fn new(client: Client, pod: Pod, folder: PathBuf) -> Self {
        Self {
            client,
            pod,
            folder,
            token: None,
        }
    }

    /// Where a volume is.
    pub fn path(&self, volume: &str) -> PathBuf {
        self.folder.join(volume)
    }

    /// Writes what has changed. `None` where a source is absent: the pod's containers are not created then.
    pub async fn refresh(&mut self) -> Option<()> {
        let volumes = self.pod.spec.clone().unwrap().volumes.unwrap_or_default();
        for volume in volumes {
            let path = self.path(&volume.name);
            let files = self.read(volume).await?;
            write(&path, &files);
        }
        Some(())
    }

    async fn read(&mut self, volume: Volume) -> Option<Files> {
        if let Some(secret) = volume.secret {
            assert_eq!(secret.items, None, "items are not known here");
            return self.secret(&secret.secret_name.unwrap()).await;
        }
        if let Some(map) = volume.config_map {
            assert_eq!(map.items, None, "items are not known here");
            return self.config_map(&map.name).await;
        }
        let projected = volume
            .projected
            .unwrap_or_else(|| panic!("a kind of volume that is not known here: {}", volume.name));
        self.projected(projected).await
    }

    async fn projected(&mut self, projected: ProjectedVolumeSource) -> Option<Files> {
        let mut files = Files::new();
        for source in projected.sources.unwrap_or_default() {
            if let Some(token) = source.service_account_token {
                let text = self.token(&token).await;
                files.insert(token.path, text.into_bytes());
            }
            if let Some(map) = source.config_map {
                files.extend(self.config_map(&map.name).await?);
            }
            for item in source
                .downward_api
                .and_then(|api| api.items)
                .into_iter()
                .flatten()
            {
                assert_eq!(item.field_ref.unwrap().field_path, "metadata.namespace");
                files.insert(item.path, self.namespace().into_bytes());
            }
        }
        Some(files)
    }

    async fn secret(&self, name: &str) -> Option<Files> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace());
        let data = api.get_opt(name).await.unwrap()?.data.unwrap_or_default();
        Some(
            data.into_iter()
                .map(|(key, value)| (key, value.0))
                .collect(),
        )
    }

    async fn config_map(&self, name: &str) -> Option<Files> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace());
        let data = api.get_opt(name).await.unwrap()?.data.unwrap_or_default();
        Some(
            data.into_iter()
                .map(|(key, value)| (key, value.into_bytes()))
                .collect(),
        )
    }

    /// The token of the pod's account, bound to the pod.
    async fn token(&mut self, wanted: &ServiceAccountTokenProjection) -> String {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: wanted.expiration_seconds,
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(self.pod.name_any()),
                    uid: self.pod.uid(),
                }),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace());
        let account = self.pod.spec.as_ref().unwrap().service_account_name.clone();
        let (account, params) = (account.unwrap(), PostParams::default());
        let answer = api.create_token_request(&account, &params, &request).await;
        let token = answer.unwrap().status.unwrap().token;
        self.token.insert(token).clone()
    }

    fn namespace(&self) -> String {
        self.pod.namespace().unwrap()
    }
}

/// As the kubelet's atomic writer: readers see all files of one state, or all of another.
fn write(folder: &Path, files: &Files) {
    let data = folder.join("..data");
    if files
        .iter()
        .all(|(name, bytes)| fs::read(data.join(name)).is_ok_and(|now| now == *bytes))
    {
        return;
    }
    fs::create_dir_all(folder).unwrap();
    let state = format!("..{:016x}", fastrand::u64(..));
    fs::create_dir(folder.join(&state)).unwrap();
    for (name, bytes) in files {
        let file = folder.join(&state).join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
    }
    let before = fs::read_link(&data).ok();
    symlink(&state, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), &data).unwrap();
    for name in files.keys() {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(folder.join(before)).unwrap();
    }
}
