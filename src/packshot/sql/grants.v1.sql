-- Nothing here is for people who did not sign in. A hosted PostgreSQL with an open REST layer (Supabase) has
-- the roles `anon` and `authenticated`, and may grant them what is new in a schema.
REVOKE ALL ON SCHEMA packshot FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA packshot FROM PUBLIC;

DO $$
DECLARE
    stranger name;
BEGIN
    FOR stranger IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA packshot FROM %I', stranger);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA packshot FROM %I', stranger);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA packshot FROM %I', stranger);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA packshot REVOKE ALL ON TABLES FROM %I', stranger);
    END LOOP;
END $$;
