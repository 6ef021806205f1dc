-- The twin's tables: rows with versions, and an outbox.
create table users (
  id uuid primary key,
  nickname text not null unique,
  profile_image text not null default '',
  phone_number text not null default '',
  gender int not null default 0,
  birthday text not null default '',
  introduction text not null default '',
  mbti int not null default 0,
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create table credentials (
  id uuid primary key,
  user_id uuid not null unique references users,
  channel int not null,
  authority int not null,
  created_at timestamptz not null
);
create table wallets (
  user_id uuid primary key references users,
  allowance int not null,
  spent int not null default 0,
  reset_at timestamptz not null,
  version bigint not null default 1
);
-- One row for each exchange that a token is or was held for.
create table holds (
  exchange_id uuid primary key,
  user_id uuid not null references wallets,
  held_until timestamptz not null,
  spent boolean not null default false
);
create index on holds (user_id, held_until) where not spent;

create table counselors (
  id uuid primary key,
  name text not null,
  description text not null,
  persona text not null,
  tone text not null,
  created_at timestamptz not null
);
create table prompt_versions (
  id uuid primary key,
  technique_id uuid not null,
  context text not null,
  instruction text not null
);
create table counsels (
  id uuid primary key,
  user_id uuid not null,
  counselor_id uuid not null references counselors,
  prompt_version_id uuid not null references prompt_versions,
  technique_id uuid not null,
  messages int not null default 0,
  last_message text,
  last_chated_at timestamptz,
  open_exchange uuid,
  open_until timestamptz,
  version bigint not null default 1,
  created_at timestamptz not null
);
create table messages (
  id uuid primary key,
  counsel_id uuid not null references counsels,
  number int not null,
  exchange_id uuid,
  by_user boolean not null,
  message text not null,
  technique_id uuid not null,
  created_at timestamptz not null,
  unique (counsel_id, number)
);
create table outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  key text not null,
  name text not null,
  body bytea not null,
  created_at timestamptz not null
);

insert into counselors values (
  '0198c0de-0000-7000-8000-000000000001', '하늘', '지친 마음을 가만히 안아 주는 상담사예요.',
  '이름은 하늘. 오래 사람들의 이야기를 들어 온 다정한 상담사. 조언보다 공감을 먼저 한다.',
  '따뜻한 존댓말(해요체)로 말합니다. 먼저 감정을 알아주고, 부드럽고 짧은 문장을 씁니다.', now()
);
insert into prompt_versions values (
  '0198c0de-0000-7000-8000-000000000002', '0198c0de-0000-7000-8000-000000000003',
  '상담의 첫 단계입니다. 상대의 말을 충분히 듣습니다.', '상대의 감정을 먼저 알아주고, 열린 질문을 하나 합니다.'
);
